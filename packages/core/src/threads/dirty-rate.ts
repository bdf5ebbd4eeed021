import { workerData } from 'node:worker_threads';
import type { DirtyLog } from '../memory/dirty-log.ts';
import { openDirtyLog } from '../memory/open-dirty-log.ts';
import { PageBitmap } from '../memory/page-bitmap.ts';
import { PageSample, zeroShareOf } from '../memory/page-sample.ts';
import type { DirtyRateCommands, DirtyRateData, PageCounts } from './dirty-rate-api.ts';
import { serveThread } from './serve-thread.ts';

/*
 * Measures how fast a guest writes. It reads guest pages, which the main thread must not: so none may be
 * missing while it does.
 */

/** Pages looked into to learn how many are zero: the error of the share is below 4 % mostly. */
const ZERO_SAMPLE_PAGES = 1024;

const { blocks } = workerData as DirtyRateData;
const blockPages = blocks.map((block) => block.byteLength / block.pageBytes);
let dirtyLog: DirtyLog | undefined;
let sampled: PageSample | undefined;
let startedMillis = 0;

serveThread<DirtyRateCommands>({
  watch() {
    dirtyLog = openDirtyLog(blocks);
    const exists = blockPages.map((pages) => new PageBitmap(pages));
    const filled = blockPages.map((pages) => new PageBitmap(pages));
    dirtyLog.sync(exists, filled);
    startedMillis = performance.now();
    return countPages(exists, filled);
  },
  sample({ pagesPerGiB }) {
    sampled = new PageSample(blocks, pagesPerGiB);
    startedMillis = performance.now();
    const total = sum(blockPages);
    return { total, present: total, zero: Math.round(total * sampled.zeroShare()) };
  },
  look() {
    const pages = dirtyLog?.writtenPages() ?? sampled?.changedPages() ?? 0;
    return { elapsedMillis: performance.now() - startedMillis, pages };
  },
  forget() {
    dirtyLog?.[Symbol.dispose]();
    dirtyLog = undefined;
    sampled = undefined;
  },
});

function countPages(exists: readonly PageBitmap[], filled: readonly PageBitmap[]): PageCounts {
  const present = sum(exists.map((bitmap) => bitmap.count()));
  const candidates = sum(filled.map((bitmap) => bitmap.count()));
  const share = zeroShareOf(blocks, filled, ZERO_SAMPLE_PAGES);
  const zero = present - candidates + Math.round(candidates * share);
  return { total: sum(blockPages), present, zero };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
