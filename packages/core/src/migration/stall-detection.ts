/** A pass makes progress if it leaves less than this of the least that any before it left. */
const SHRINKS_TO = 0.9;
/** So many in a row without progress, and precopy will not end by itself. */
const STALLED_PASSES = 2;
/** A pass that was cut short counts like a whole one if it took at least this long. */
const LONG_MILLIS = 5000;

/**
 * Notices that passes have stopped shrinking: what the guest leaves dirty does not become less.
 *
 * @see docs/decisions/0012-stall-detection.md
 */
export class StallDetection {
  readonly #now: () => number;
  #least = Infinity;
  #stalled = 0;
  #lookedMillis: number;

  /** @param now milliseconds of any clock that does not go back. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#lookedMillis = now();
  }

  /**
   * @param dirtyPages left after a dirty sync.
   * @param isWhole the pass before it was sent to its end.
   * @returns whether to give up on precopy.
   */
  isStalled(dirtyPages: number, isWhole: boolean): boolean {
    const now = this.#now();
    if (!isWhole && now - this.#lookedMillis < LONG_MILLIS) return false;
    this.#lookedMillis = now;
    if (dirtyPages < this.#least * SHRINKS_TO) {
      this.#least = dirtyPages;
      this.#stalled = 0;
    } else {
      this.#stalled += 1;
    }
    return this.#stalled >= STALLED_PASSES;
  }

  /** Something else is about to help: what was seen so far says nothing. */
  restart(): void {
    this.#least = Infinity;
    this.#stalled = 0;
  }
}
