/** A pass that takes longer than this is interrupted by a dirty sync, to see whether it converges. */
export const SYNC_INTERVAL_MILLIS = 5000;

/**
 * Asks for a dirty sync where none happened for long; not during the first pass, which sends
 * everything and says nothing about convergence.
 *
 * @see QEMU system/cpu-throttle.c, cpu_throttle_dirty_sync_timer_tick.
 */
export class SyncTimer implements Disposable {
  readonly #timer: NodeJS.Timeout;
  #syncs = 0;
  #syncsBefore = 0;

  /** @param wantSync called on the main thread's time. */
  constructor(wantSync: () => void) {
    this.#timer = setInterval(() => {
      if (this.#syncs > 0 && this.#syncs === this.#syncsBefore) wantSync();
      this.#syncsBefore = this.#syncs;
    }, SYNC_INTERVAL_MILLIS);
  }

  synced(): void {
    this.#syncs += 1;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
