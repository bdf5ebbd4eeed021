/** Seeds fit in 32 bits unsigned, so that every generator takes them as they are. */
export const SEED_LIMIT = 2 ** 32;

/** A small generator of its own for each purpose: what one draws does not depend on the others. */
export class Random {
  #state: number;

  /** @param name of the purpose: two of one seed draw different numbers. */
  constructor(name: string, from: number) {
    this.#state = from;
    for (let i = 0; i < name.length; i += 1) {
      this.#state = Math.imul(this.#state ^ name.charCodeAt(i), 0x0100_0193) >>> 0;
    }
  }

  /** @returns at least 0 and below 1; the generator is mulberry32. */
  next(): number {
    this.#state = (this.#state + 0x6d2b_79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / SEED_LIMIT;
  }

  /** @returns a whole number, `from` and `below` as in a slice. */
  between(from: number, below: number): number {
    return from + Math.floor(this.next() * (below - from));
  }

  pick<const T>(items: readonly T[]): T {
    return items[this.between(0, items.length)] as T;
  }

  chance(share: number): boolean {
    return this.next() < share;
  }

  bytes(byteLength: number): Uint8Array {
    return Uint8Array.from({ length: byteLength }, () => this.between(0, 256));
  }
}
