import { setTimeout as sleep } from 'node:timers/promises';

import { monotonicMillis } from '../migrate/clock.ts';
import type { Sample } from '../migrate/runs.ts';

/** Often enough for a curve of a migration that takes a quarter of a second, too rare to cost. */
const SAMPLE_MILLIS = 10;

/** Notes how far something has got, again and again, until it is stopped. */
export class Sampler {
  readonly #read: () => Promise<number>;
  readonly #samples: Sample[] = [];
  #stopped = false;

  /** @param read the bytes so far. */
  constructor(read: () => Promise<number>) {
    this.#read = read;
  }

  start(): void {
    void this.#run();
  }

  /** @returns when the next sample is due. */
  async next(): Promise<void> {
    await sleep(SAMPLE_MILLIS);
  }

  /** @returns those taken so far, with times of `monotonicMillis`. */
  stop(): readonly Sample[] {
    this.#stopped = true;
    return [...this.#samples];
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const bytes = await this.#read();
      this.#samples.push({ millis: monotonicMillis(), bytes });
      await this.next();
    }
  }
}
