import { getPriority, setPriority } from 'node:os';
import { threadId } from '@godwit/posix';

/**
 * The time slice of the threads that a waiting guest waits for: fault, return-path and urgent
 * receiver. They need some tens of microseconds at a time; the threads that move the bulk run for
 * milliseconds, and without this a fault would wait for the end of their slice.
 */
export const URGENT_SLICE_MICROS = 100;

/** At a third of the weight of a thread with nice value 0. */
const BULK_NICENESS = 5;
const NICE_MAX = 19;

let hasYielded = false;

/**
 * Lets the guest and those who serve its faults go before this thread, which takes in the bulk of a
 * postcopy: whoever is woken by a page gets its processor soon. On Linux a nice value belongs to a
 * thread; it is raised once, takes no privilege, and ends with the thread. Where a host refuses it all the
 * same, the guest waits a little longer, which is no reason to lose a link.
 */
export function yieldToGuest(): void {
  if (hasYielded) return;
  hasYielded = true;
  const thread = threadId();
  try {
    setPriority(thread, Math.min(NICE_MAX, getPriority(thread) + BULK_NICENESS));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_SYSTEM_ERROR') throw error;
  }
}
