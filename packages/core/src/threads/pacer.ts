/** How far behind its plan a transfer may fall and still catch up, in milliseconds. */
const CATCH_UP_MILLIS = 50;

/** Spreads bytes over time so that a limit holds; the clock is the caller's, in milliseconds. */
export class Pacer {
  #bytesPerSecond = 0;
  /** When what has been sent so far will have been within the limit. */
  #dueMillis = 0;

  /** @returns how long the caller must wait before it sends more; 0 when it need not. */
  waitMillis(bytesPerSecond: number, nowMillis: number): number {
    if (bytesPerSecond !== this.#bytesPerSecond) {
      this.#bytesPerSecond = bytesPerSecond;
      this.#dueMillis = nowMillis;
    }
    if (bytesPerSecond === 0) return 0;
    return Math.max(0, this.#dueMillis - nowMillis);
  }

  sent(bytes: number, nowMillis: number): void {
    if (this.#bytesPerSecond === 0) return;
    const from = Math.max(this.#dueMillis, nowMillis - CATCH_UP_MILLIS);
    this.#dueMillis = from + (bytes / this.#bytesPerSecond) * 1000;
  }

  /** A batch worth a few milliseconds of the limit, within [`min`, `max`] bytes. */
  batchBytes(bytesPerSecond: number, min: number, max: number): number {
    if (bytesPerSecond === 0) return max;
    return Math.min(max, Math.max(min, bytesPerSecond / 200));
  }
}
