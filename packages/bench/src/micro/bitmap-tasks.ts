import { PageBitmap } from '@godwit/core';

import { formatBytes, group, type MicroGroup, type MicroTask } from './micro-task.ts';

const PAGE_BYTES = 4096;
/** One page in so many, where few are set. */
const SPARSE_STEP = 100;
const RUN_PAGES = 256;

/** What is done to the dirty, sent and received bitmaps of a guest. */
export function bitmapTasks(memoryBytes: number): MicroGroup {
  const pages = memoryBytes / PAGE_BYTES;
  const bitmaps = {
    empty: new PageBitmap(pages),
    sparse: new PageBitmap(pages),
    full: new PageBitmap(pages),
    scratch: new PageBitmap(pages),
  };
  for (let page = 0; page < pages; page += SPARSE_STEP) bitmaps.sparse.add(page);
  bitmaps.full.fill();
  return group(`bitmap of ${formatBytes(memoryBytes)}`, [
    ...scanTasks(pages, bitmaps),
    ...mergeTasks(pages, bitmaps),
    ...claimTasks(pages, bitmaps),
  ]);
}

type Bitmaps = Readonly<Record<'empty' | 'sparse' | 'full' | 'scratch', PageBitmap>>;

function scanTasks(pages: number, { empty, sparse, full }: Bitmaps): MicroTask[] {
  const visitRuns = (bitmap: PageBitmap) => () => {
    bitmap.forEachRun(() => undefined);
  };
  return [
    { name: 'scan, nothing set', run: visitRuns(empty), count: pages, unit: 'page' },
    { name: 'scan, 1 % set, a page each', run: visitRuns(sparse), count: pages, unit: 'page' },
    { name: 'scan, all set', run: visitRuns(full), count: pages, unit: 'page' },
    { name: 'count, 1 % set', run: () => void sparse.count(), count: pages, unit: 'page' },
  ];
}

function mergeTasks(pages: number, { sparse, full, scratch }: Bitmaps): MicroTask[] {
  const before = (): void => scratch.clear();
  return [
    {
      name: 'merge, 1 % set',
      run: () => void scratch.addAll(sparse),
      before,
      count: pages,
      unit: 'page',
    },
    {
      name: 'merge, all set',
      run: () => void scratch.addAll(full),
      before,
      count: pages,
      unit: 'page',
    },
    {
      name: 'set, the whole as one run',
      run: () => void scratch.addRun(0, pages),
      before,
      count: pages,
      unit: 'page',
    },
  ];
}

/** Test-and-clear, in the ways in which senders claim pages. */
function claimTasks(pages: number, { sparse, scratch }: Bitmaps): MicroTask[] {
  const few = Math.ceil(pages / SPARSE_STEP);
  const claimRuns = (): void => {
    for (let page = scratch.next(0); page >= 0; page = scratch.next(page)) {
      scratch.takeAhead(page, RUN_PAGES);
    }
  };
  const claimOne = (): void => {
    for (let page = 0; page < pages; page += SPARSE_STEP) scratch.take(page);
  };
  const setFew = (): void => void scratch.addAll(sparse);
  const setAll = (): void => scratch.fill();
  return [
    {
      name: 'test and clear, a known page',
      run: claimOne,
      before: setFew,
      count: few,
      unit: 'page',
    },
    { name: 'find and clear, 1 % set', run: claimRuns, before: setFew, count: few, unit: 'page' },
    {
      name: `find and clear, all set, runs of ${RUN_PAGES}`,
      run: claimRuns,
      before: setAll,
      count: pages,
      unit: 'page',
    },
  ];
}
