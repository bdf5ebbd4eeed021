import { setTimeout as after } from 'node:timers/promises';
import type { RamBlock } from '../memory/ram-block.ts';
import type { DirtyLook, DirtyRateCommands, PageCounts } from '../threads/dirty-rate-api.ts';
import { Thread } from '../threads/thread.ts';

export type DirtyRateMode =
  /** Every page that is written is noted, as a migration does. */
  | 'dirty-bitmap'
  /** Random pages are compared with what they held before: cheap, and as coarse as the sample. */
  | 'page-sampling';

export interface DirtyRateOptions {
  readonly mode: DirtyRateMode;
  /** How long the guest is watched. */
  readonly calcMillis: number;
  /** With `page-sampling`: of each GiB of RAM. */
  readonly samplePages: number;
}

export interface DirtyRate extends PageCounts {
  /**
   * How many different pages were written in t, 2t, 4t, …, the last one being all of the time. A hot
   * set is written over and over and hardly grows; a guest that walks through its memory grows on.
   */
  readonly curve: readonly DirtyLook[];
}

/** The looks, in parts of the whole. */
const LOOKS = [1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1] as const;

/**
 * Watches how fast a guest writes, for once. It owns the dirty log meanwhile: only one may note writes to
 * memory, so a migration must not begin before `end` has resolved; nor may pages be missing.
 */
export class DirtyRateMeasurement {
  /** Resolves when the watching has begun. @throws {SystemError} the host refuses userfaultfd. */
  readonly begun: Promise<void>;
  /** @returns undefined when it was ended before its time. */
  readonly result: Promise<DirtyRate | undefined>;
  readonly #thread: Thread<DirtyRateCommands, never>;
  readonly #ended = new AbortController();
  readonly #gone: Promise<void>;

  constructor(blocks: readonly RamBlock[], options: DirtyRateOptions) {
    this.#thread = new Thread('dirty-rate', { blocks });
    const counts = this.#begin(options);
    this.begun = counts.then(() => undefined);
    this.result = this.#run(counts, options);
    this.#gone = this.result.then(
      () => undefined,
      () => undefined,
    );
    this.begun.catch(() => undefined); // told by `result` as well, and nobody may ask for either
  }

  /** Idempotent. @returns when nothing is noted any more and the thread is gone. */
  async end(): Promise<void> {
    this.#ended.abort();
    await this.#gone;
  }

  async #begin({ mode, samplePages }: DirtyRateOptions): Promise<PageCounts> {
    if (mode === 'dirty-bitmap') return await this.#thread.call('watch', undefined);
    return await this.#thread.call('sample', { pagesPerGiB: samplePages });
  }

  async #run(
    counts: Promise<PageCounts>,
    options: DirtyRateOptions,
  ): Promise<DirtyRate | undefined> {
    try {
      return await this.#measure(counts, options);
    } finally {
      await this.#leave();
    }
  }

  async #measure(
    counts: Promise<PageCounts>,
    { mode, calcMillis }: DirtyRateOptions,
  ): Promise<DirtyRate | undefined> {
    const pages = await counts;
    const { signal } = this.#ended;
    const startedMillis = performance.now();
    const curve: DirtyLook[] = [];
    for (const part of mode === 'dirty-bitmap' ? LOOKS : [1]) {
      const millis = startedMillis + part * calcMillis - performance.now();
      await after(Math.max(0, millis), undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return undefined;
      curve.push(await this.#thread.call('look', undefined));
    }
    return signal.aborted ? undefined : { ...pages, curve };
  }

  async #leave(): Promise<void> {
    // A dead thread notes nothing; what killed it is told by whatever was asked of it.
    await this.#thread.call('forget', undefined).catch(() => undefined);
    await this.#thread.end();
  }
}
