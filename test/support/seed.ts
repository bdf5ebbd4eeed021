import { randomInt } from 'node:crypto';
import { Random as SeededRandom, SEED_LIMIT } from '@godwit/chaos';

/**
 * What the random choices of a run begin with: `GODWIT_SEED`, or drawn anew. Every failure names it.
 */
export const seed = readSeed(process.env['GODWIT_SEED']);

/** A small generator of its own for each test: what one test draws does not depend on the others. */
export class Random extends SeededRandom {
  /** @param name of the test: two tests of one run draw different numbers. */
  constructor(name: string, from: number = seed) {
    super(name, from);
  }
}

function readSeed(text: string | undefined): number {
  if (text === undefined || text === '') return randomInt(SEED_LIMIT);
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0 && value < SEED_LIMIT) return value;
  throw new Error(`GODWIT_SEED is a whole number below ${SEED_LIMIT}, not '${text}'`);
}
