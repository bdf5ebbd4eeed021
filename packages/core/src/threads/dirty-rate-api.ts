import type { RamBlock } from '../memory/ram-block.ts';

export interface DirtyRateData {
  readonly blocks: readonly RamBlock[];
}

export interface PageCounts {
  readonly total: number;
  /** That exist: never touched ones cost a migration nothing. */
  readonly present: number;
  /** Of `present`, those that are zero throughout; estimated from a sample. */
  readonly zero: number;
}

export interface DirtyLook {
  /** Since `watch` or `sample`. */
  readonly elapsedMillis: number;
  /** Different pages that were written since. */
  readonly pages: number;
}

/** What the main thread tells the thread that measures; it owns the dirty log while it does. */
export type DirtyRateCommands = {
  /** Begins to note writes. */
  watch: { argument: undefined; answer: PageCounts };
  /** Remembers so many random pages of each GiB instead. */
  sample: { argument: { pagesPerGiB: number }; answer: PageCounts };
  look: { argument: undefined; answer: DirtyLook };
  /** Nothing is noted any more, and nothing remembered. */
  forget: { argument: undefined; answer: void };
};
