/** A throttled vCPU runs so long before each of its sleeps. */
export const THROTTLE_SLICE_MILLIS = 10;

/**
 * When a throttled vCPU sleeps, and how long: at a throttle of p it runs 10 ms, then sleeps
 * p / (1 - p) * 10 ms. Times are milliseconds of any clock that does not go back.
 *
 * @see QEMU system/cpu-throttle.c, cpu_throttle_thread.
 */
export class Throttle {
  #sliceStart: number;

  constructor(now: number) {
    this.#sliceStart = now;
  }

  /** @returns how long the vCPU shall sleep now; 0 while its slice lasts, or it has no throttle. */
  sleepMillis(percentage: number, now: number): number {
    if (percentage === 0) this.#sliceStart = now;
    if (now - this.#sliceStart < THROTTLE_SLICE_MILLIS) return 0;
    const share = percentage / 100;
    return (THROTTLE_SLICE_MILLIS * share) / (1 - share);
  }

  /** It slept, for that long or until something woke it: another slice begins. */
  slept(now: number): void {
    this.#sliceStart = now;
  }
}
