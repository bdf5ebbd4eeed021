/** What the downtime consists of, in order; query-migrate tells it as `x-downtime-parts`. */
export const downtimePartNames = [
  /** From the word to stop until every vCPU has stopped. */
  'stop-guest',
  /** With pause-before-switchover: as long as the operator took. */
  'pre-switchover',
  /** What the guest wrote last is found. */
  'final-sync',
  /** It is sent; postcopy: the destination is told that it is stale there. */
  'last-pages',
  /** The first round trip: device state is saved, sent and loaded; until "loaded" is here and holds. */
  'device-state',
  /** The second: the order to run, and the guest runs there; until "running" is here. */
  'run-order',
] as const;

export type DowntimePart = (typeof downtimePartNames)[number];

/** Microseconds; they add up to `x-downtime-us`. */
export type DowntimeParts = Readonly<Record<DowntimePart, number>>;

/** The clock of a switchover: from the word to stop the guest to the word that it runs there. */
export class DowntimeClock {
  readonly #now: () => number;
  readonly #startMillis: number;
  /** When each part was over, since the start; one that a failure left out took no time. */
  readonly #ends: number[] = [];

  /** @param now milliseconds of any clock that does not go back. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#startMillis = now();
  }

  /** The next part is over now, or has taken that long: what a thread has measured of itself. */
  partEnds(tookMillis?: number): void {
    const before = this.#ends.at(-1) ?? 0;
    this.#ends.push(tookMillis === undefined ? this.#elapsed() : before + tookMillis);
  }

  /** The last part is over, whichever it is. @returns how long all took, in milliseconds. */
  stop(): number {
    const total = this.#elapsed();
    const before = this.#ends.at(-1) ?? 0;
    const last = downtimePartNames.length - 1;
    for (let part = this.#ends.length; part < last; part++) this.#ends.push(before);
    this.#ends.push(total);
    return total;
  }

  /** Rounded so that the sum is the rounded whole. */
  parts(): DowntimeParts {
    let before = 0;
    const parts = downtimePartNames.map((name, i) => {
      const end = Math.round((this.#ends[i] ?? 0) * 1000);
      const micros = end - before;
      before = end;
      return [name, micros] as const;
    });
    return Object.fromEntries(parts) as Record<DowntimePart, number>; // of every name
  }

  #elapsed(): number {
    return this.#now() - this.#startMillis;
  }
}
