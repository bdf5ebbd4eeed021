import { setTimeout as sleep } from 'node:timers/promises';

import type { Side } from './side.ts';

const SAMPLE_MILLIS = 15;

interface Period {
  readonly name: string;
  readonly from: number;
  /** Undefined: it still runs. */
  readonly until: number | undefined;
}

/**
 * Watches from outside that the guest runs on one side at most: all the time by questions, at the end by
 * what the processes have told, which is on one clock.
 */
export class OwnerWatch {
  readonly #sides: readonly Side[];
  readonly #watching: Promise<void>;
  readonly #end = new AbortController();
  #found: string | undefined;
  #samples = 0;

  /** @param sides more may be added later. */
  constructor(sides: readonly Side[]) {
    this.#sides = sides;
    this.#watching = this.#watch();
  }

  /** How often it was asked who runs the guest. */
  get samples(): number {
    return this.#samples;
  }

  /** @returns what was found, if anything. */
  async end(): Promise<string | undefined> {
    this.#end.abort();
    await this.#watching;
    return this.#found ?? ranTwice(this.#sides);
  }

  async #watch(): Promise<void> {
    while (!this.#end.signal.aborted) {
      await sleep(SAMPLE_MILLIS);
      for (const one of this.#sides) {
        for (const other of this.#sides) {
          if (one === other) continue;
          await this.#sample(one, other).catch((error: unknown) => this.#fail(error));
        }
      }
    }
  }

  /** It did not answer in time: nobody knows whether it runs the guest. */
  #fail(error: unknown): void {
    this.#found ??= (error as Error).message;
  }

  /** Who runs before another does, and after it, has run at the same time. */
  async #sample(one: Side, other: Side): Promise<void> {
    // One that is held cannot answer; it tells its events later, with the time at which they were.
    const areThere = [one, other].every((side) => side.isAlive && !side.isStopped);
    if (!areThere || this.#end.signal.aborted) return;
    this.#samples += 1;
    const stops = (): number => one.events.entries.filter(({ name }) => name === 'STOP').length;
    const before = stops();
    if (!(await one.runsGuest())) return;
    if (!(await other.runsGuest())) return;
    const isBoth = (await one.runsGuest()) && stops() === before;
    if (!isBoth) return;
    this.#found ??= `the guest runs on the ${one.name} and on the ${other.name} at once`;
  }
}

/** What a side has told, and when it ended. */
export type Told = Pick<Side, 'name' | 'ranAtFirst' | 'endedMicros'> & {
  readonly events: {
    readonly entries: readonly { readonly name: string; readonly micros: number }[];
  };
};

/** By STOP and RESUME of all sides: no two periods overlap. @returns what does. */
export function ranTwice(sides: readonly Told[]): string | undefined {
  const periods = sides.flatMap(periodsOf).toSorted((a, b) => a.from - b.from);
  for (const [i, period] of periods.entries()) {
    const next = periods[i + 1];
    if (next === undefined || next.name === period.name) continue;
    if (period.until !== undefined && period.until <= next.from) continue;
    return `the guest ran twice: ${JSON.stringify(period)} and ${JSON.stringify(next)}`;
  }
  return undefined;
}

function periodsOf(side: Told): Period[] {
  const periods: Period[] = [];
  let from = side.ranAtFirst ? 0 : undefined;
  for (const { name, micros } of side.events.entries) {
    if (name === 'RESUME') from ??= micros;
    if (name === 'STOP' && from !== undefined) {
      periods.push({ name: side.name, from, until: micros });
      from = undefined;
    }
  }
  if (from !== undefined) periods.push({ name: side.name, from, until: side.endedMicros });
  return periods;
}
