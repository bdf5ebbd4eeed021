import { availableParallelism } from 'node:os';

import type { RamBlock } from '@godwit/core';

import { countPages } from './pages/memory-pages.ts';
import { runTask } from './task-thread.ts';

/** A thread takes some 30 ms to start, in which another fills as many pages as this. */
const FILL_PAGES_PER_THREAD_MIN = 16_384;

export interface FillOptions {
  readonly seed: number;
  readonly fill: number;
}

/** What `threads/fill.ts` is started with: it fills `[firstPage, endPage)`. */
export interface FillTask extends FillOptions {
  readonly ram: readonly RamBlock[];
  readonly firstPage: number;
  readonly endPage: number;
}

/** Writes the initial content of RAM, in threads; pages that are not filled stay untouched. */
export async function fillGuest(ram: readonly RamBlock[], options: FillOptions): Promise<void> {
  if (options.fill === 0) return;
  const pageCount = countPages(ram);
  const useful = Math.ceil(pageCount / FILL_PAGES_PER_THREAD_MIN);
  const threadCount = Math.min(useful, availableParallelism());
  const share = Math.ceil(pageCount / threadCount);
  const tasks = Array.from({ length: threadCount }, (_, index): FillTask => {
    const firstPage = index * share;
    return { ...options, ram, firstPage, endPage: Math.min(firstPage + share, pageCount) };
  });
  const results = await Promise.allSettled(
    tasks.map((task) => runTask<FillTask, true>('fill', task)),
  );
  // All have ended by now, whatever went wrong: nobody writes to RAM after this.
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}
