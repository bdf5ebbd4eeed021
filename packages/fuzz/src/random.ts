const SEED_LIMIT = 2 ** 32;

/** The same choices from the same seed; the generator is mulberry32. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** @returns at least 0 and below 1. */
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

  pick<T>(items: readonly T[]): T {
    return items[this.between(0, items.length)] as T;
  }

  chance(share: number): boolean {
    return this.next() < share;
  }

  bytes(byteLength: number): Uint8Array {
    return Uint8Array.from({ length: byteLength }, () => this.between(0, 256));
  }
}
