/** Steps that fell due longer ago than this are forgotten: a stall is not made up by a storm. */
export const PACE_DEBT_MILLIS_MAX = 100;

/** The shortest sleep: below this the wakeups would cost more than the steps. */
export const PACE_SLEEP_MILLIS_MIN = 1;

/** Spreads steps evenly over time. Times are milliseconds of any clock that does not go back. */
export class Pacer {
  readonly #stepsPerMillis: number;
  /** When the steps made so far were due. */
  #paidUntil: number;

  constructor(stepsPerSecond: number, now: number) {
    this.#stepsPerMillis = stepsPerSecond / 1000;
    this.#paidUntil = now;
  }

  /** How many steps are due. */
  due(now: number): number {
    this.#paidUntil = Math.max(this.#paidUntil, now - PACE_DEBT_MILLIS_MAX - this.#stepMillis());
    return Math.floor((now - this.#paidUntil) * this.#stepsPerMillis);
  }

  made(steps: number): void {
    this.#paidUntil += steps / this.#stepsPerMillis;
  }

  /** The clock stood still for so long, as far as the steps are concerned. */
  skip(millis: number): void {
    this.#paidUntil += millis;
  }

  millisToNext(now: number): number {
    return Math.max(PACE_SLEEP_MILLIS_MIN, this.#paidUntil + this.#stepMillis() - now);
  }

  #stepMillis(): number {
    return 1 / this.#stepsPerMillis;
  }
}
