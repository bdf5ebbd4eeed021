import { InvalidArgumentError } from 'commander';

import { parseSize } from './sizes.ts';

/** `100M`, `100M/s`, `12500000`: bytes per second. */
export function checkRate(text: string): number {
  try {
    const rate = parseSize(text.replace(/\/s$/, ''));
    if (rate > 0) return rate;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  throw new InvalidArgumentError(`'${text}' is not a rate: bytes per second, as in 100M or 1.5G`);
}

/** @returns what takes a whole number in this range. */
export function checkCountFrom(min: number, max: number): (text: string) => number {
  return (text) => {
    const count = Number(text);
    if (/^\d+$/.test(text) && count >= min && count <= max) return count;
    throw new InvalidArgumentError(`'${text}' is not a whole number from ${min} to ${max}`);
  };
}
