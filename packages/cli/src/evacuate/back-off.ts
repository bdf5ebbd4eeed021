import { setTimeout as after } from 'node:timers/promises';

const FIRST_MILLIS = 500;
const LONGEST_MILLIS = 15_000;

/** @returns how long to wait before the retry of this number, from 1: twice as long each time, ± 25 %. */
export function backOffMillis(retry: number, random = Math.random()): number {
  const millis = Math.min(FIRST_MILLIS * 2 ** (retry - 1), LONGEST_MILLIS);
  return millis * (0.75 + random / 2); // not all at the same moment
}

/** @returns after the wait, or at once when aborted: the caller looks. */
export async function backOff(retry: number, signal: AbortSignal): Promise<void> {
  await after(backOffMillis(retry), undefined, { signal }).catch(() => undefined);
}
