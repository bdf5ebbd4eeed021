import { MigrationError } from '../errors.ts';
import type { Guest } from '../guest.ts';
import type { Parameters } from '../parameters.ts';
import type { SourceContext } from './source-context.ts';

/** What is compared is compared over at least this long. */
const PERIOD_MILLIS = 1000;
/** The guest writes too much for the second time, in a row or not, before anything is done. */
const HITS = 2;

/** What a dirty sync has found. */
export interface SyncFigures {
  /** Pages that the guest wrote since the sync before, in bytes. */
  readonly dirtiedBytes: number;
  /** All that was sent so far. */
  readonly transferredBytes: number;
}

type Throttle = NonNullable<Guest['throttle']>;

/** @returns what slows the guest down, with the capability `auto-converge`. */
export function startAutoConverge(context: SourceContext): AutoConverge | undefined {
  const { guest, capabilities, parameters, statistics } = context;
  if (!capabilities['auto-converge']) return undefined;
  const throttle = throttleOf(guest);
  const throttleAndTell: Throttle = (percentage) => {
    statistics.throttlePercentage = percentage;
    throttle(percentage);
  };
  return new AutoConverge(throttleAndTell, parameters, statistics.transferredBytes);
}

/**
 * Slows the guest down while it writes more than a share of what is sent, step by step, until it does
 * not; disposed of, it lets the guest go, whatever became of the migration.
 *
 * @see QEMU migration/ram.c, migration_trigger_throttle and mig_throttle_guest_down.
 */
export class AutoConverge implements Disposable {
  readonly #throttle: Throttle;
  readonly #parameters: () => Parameters;
  readonly #now: () => number;
  #percentage = 0;
  #hits = 0;
  #periodStart: number;
  #dirtiedBytes = 0;
  #transferredBefore: number;

  /**
   * @param transferredBytes all that was sent before the period that begins now.
   * @param now milliseconds of any clock that does not go back.
   */
  constructor(
    throttle: Throttle,
    parameters: () => Parameters,
    transferredBytes: number,
    now: () => number = () => performance.now(),
  ) {
    this.#throttle = throttle;
    this.#parameters = parameters;
    this.#now = now;
    this.#periodStart = now();
    this.#transferredBefore = transferredBytes;
  }

  /** It cannot be slowed down further. */
  get isExhausted(): boolean {
    return this.#percentage >= this.#parameters()['max-cpu-throttle'];
  }

  /** At every dirty sync. */
  synced({ dirtiedBytes, transferredBytes }: SyncFigures): void {
    this.#dirtiedBytes += dirtiedBytes;
    const now = this.#now();
    if (now - this.#periodStart <= PERIOD_MILLIS) return;
    const sentBytes = transferredBytes - this.#transferredBefore;
    const allowedBytes = (sentBytes * this.#parameters()['throttle-trigger-threshold']) / 100;
    if (this.#dirtiedBytes > allowedBytes && ++this.#hits >= HITS) {
      this.#hits = 0;
      this.#set(this.#nextPercentage(allowedBytes / this.#dirtiedBytes));
    }
    this.#periodStart = now;
    this.#dirtiedBytes = 0;
    this.#transferredBefore = transferredBytes;
  }

  [Symbol.dispose](): void {
    if (this.#percentage > 0) this.#set(0);
  }

  /** @param allowedShare of what the guest wrote, what it should have. */
  #nextPercentage(allowedShare: number): number {
    const parameters = this.#parameters();
    const now = this.#percentage;
    if (now === 0) return parameters['cpu-throttle-initial'];
    const running = 100 - now;
    const increment = parameters['cpu-throttle-increment'];
    // With tailslow: no further than to where the guest would write what it may, if it is that near.
    const step = parameters['cpu-throttle-tailslow']
      ? Math.min(Math.floor(running - running * allowedShare), increment)
      : increment;
    return Math.min(now + step, parameters['max-cpu-throttle']);
  }

  #set(percentage: number): void {
    this.#percentage = percentage;
    this.#throttle(percentage);
  }
}

/** @throws {MigrationError} `ERR_ARGUMENT`. */
export function throttleOf(guest: Guest): Throttle {
  if (guest.throttle === undefined) {
    throw new MigrationError(
      'ERR_ARGUMENT',
      "capability 'auto-converge' needs a guest that can be slowed down, and this one cannot (it has no 'throttle'): switch it off",
    );
  }
  return (percentage) => guest.throttle?.(percentage);
}
