import { ChannelError, parseAddress } from '@godwit/transport';
import { InvalidArgumentError } from 'commander';

import { parseMillis, parsePageRate, parseRate } from './rates.ts';
import { parseSize } from './sizes.ts';

/*
 * Values of options, for commander: each returns what the command gets, or throws what the user reads.
 */

export const checkSize = orInvalid(parseSize);
export const checkRate = orInvalid(parseRate);
export const checkPageRate = orInvalid(parsePageRate);
export const checkMillis = orInvalid(parseMillis);

export function checkCount(text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(count)) return count;
  throw new InvalidArgumentError(`'${text}' is not a whole number`);
}

/** @returns what takes a whole number in this range. */
export function checkCountFrom(min: number, max: number): (text: string) => number {
  return (text) => {
    const count = Number(text);
    if (/^\d+$/.test(text) && count >= min && count <= max) return count;
    throw new InvalidArgumentError(`'${text}' is not a whole number from ${min} to ${max}`);
  };
}

/** @returns what takes a duration of whole milliseconds in this range. */
export function checkMillisFrom(min: number, max: number): (text: string) => number {
  return (text) => {
    const millis = checkMillis(text);
    if (Number.isInteger(millis) && millis >= min && millis <= max) return millis;
    throw new InvalidArgumentError(`'${text}' is not a whole number of ms from ${min} to ${max}`);
  };
}

/** A rate that something has to get by with: 0 is none, and no word for "no limit". */
export function checkPositiveRate(text: string): number {
  const rate = checkRate(text);
  if (rate > 0) return rate;
  throw new InvalidArgumentError('it must be more than 0');
}

/** @returns the text itself, which is an address. */
export function checkAddress(text: string): string {
  try {
    parseAddress(text);
    return text;
  } catch (error) {
    if (error instanceof ChannelError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}

function orInvalid<Value>(parse: (text: string) => Value): (text: string) => Value {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new InvalidArgumentError(error.message);
    }
  };
}
