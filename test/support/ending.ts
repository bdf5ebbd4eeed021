import assert from 'node:assert/strict';
import type { GuestProcess } from './guest-process.ts';

/** The engine gives itself two seconds to end in order, and no time at all when that is over. */
const QUIT_MILLIS_MAX = 4000;

/** By quit: with 0, in time, and without leaving a socket file behind. */
export async function expectEnd(guest: GuestProcess): Promise<void> {
  const started = performance.now();
  await guest.quit();
  const millis = performance.now() - started;
  assert(millis < QUIT_MILLIS_MAX, `${guest.name} took ${Math.round(millis)} ms to end`);
}
