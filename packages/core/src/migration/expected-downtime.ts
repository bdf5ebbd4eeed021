/** In a period in which less was sent the bandwidth is anybody's guess. */
const BYTES_MIN = 10_000;

/** What has been measured over a period of sending. */
export interface SendingPeriod {
  readonly bytes: number;
  /** What the switchover may count on. */
  readonly bytesPerMilli: number;
  /** Pages that the guest writes, per second. */
  readonly dirtyRate: number;
}

/**
 * How long the guest would stand still if it were stopped now: begins as the limit, and is what was
 * dirty at the last sync over the bandwidth, as often as both are known.
 *
 * @see QEMU migration/migration.c, migration_update_counters.
 */
export class ExpectedDowntime {
  #millis: number;
  #dirtyBytes = 0;

  constructor(limitMillis: number) {
    this.#millis = limitMillis;
  }

  get millis(): number {
    return this.#millis;
  }

  synced(dirtyBytes: number): void {
    this.#dirtyBytes = dirtyBytes;
  }

  estimate({ bytes, bytesPerMilli, dirtyRate }: SendingPeriod): void {
    if (dirtyRate === 0 || bytes <= BYTES_MIN || bytesPerMilli === 0) return;
    this.#millis = this.#dirtyBytes / bytesPerMilli;
  }
}
