import { randomInt } from 'node:crypto';

/** Seeds fit in 32 bits unsigned, so that every generator takes them as they are. */
const SEED_LIMIT = 2 ** 32;

/**
 * What the random choices of a run begin with: `GODWIT_SEED`, or drawn anew. Every failure names it.
 */
export const seed = readSeed(process.env['GODWIT_SEED']);

/** A small generator of its own for each test: what one test draws does not depend on the others. */
export class Random {
  #state: number;

  /** @param name of the test: two tests of one run draw different numbers. */
  constructor(name: string, from: number = seed) {
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

  pick<T>(items: readonly T[]): T {
    return items[this.between(0, items.length)] as T;
  }

  chance(share: number): boolean {
    return this.next() < share;
  }
}

function readSeed(text: string | undefined): number {
  if (text === undefined || text === '') return randomInt(SEED_LIMIT);
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0 && value < SEED_LIMIT) return value;
  throw new Error(`GODWIT_SEED is a whole number below ${SEED_LIMIT}, not '${text}'`);
}
