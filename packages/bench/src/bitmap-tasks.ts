import { PageBitmap } from '@godwit/core';
import type { Bench } from 'tinybench';

/** 4 GiB of 4 KiB pages. */
const PAGES = 2 ** 20;

export function addBitmapTasks(bench: Bench): void {
  const empty = new PageBitmap(PAGES);
  const sparse = new PageBitmap(PAGES);
  for (let page = 0; page < PAGES; page += 100) sparse.add(page);
  const scratch = new PageBitmap(PAGES);
  bench
    .add('bitmap of 4 GiB: scan, nothing set', () => void empty.next(0))
    .add('bitmap of 4 GiB: scan, 1 % set', () => {
      for (let page = sparse.next(0); page >= 0; page = sparse.next(page + 1));
    })
    .add('bitmap of 4 GiB: merge, 1 % set', () => void scratch.addAll(sparse))
    .add('bitmap of 4 GiB: count', () => void sparse.count())
    .add(
      'bitmap of 4 GiB: claim 1 % page by page',
      () => {
        for (let page = scratch.next(0); page >= 0; page = scratch.next(page)) {
          scratch.takeAhead(page, 256);
        }
      },
      { beforeEach: () => void scratch.addAll(sparse) },
    )
    .add(
      'bitmap of 4 GiB: claim all in runs of 256',
      () => {
        for (let page = scratch.next(0); page >= 0; page = scratch.next(page)) {
          scratch.takeAhead(page, 256);
        }
      },
      { beforeEach: () => scratch.fill() },
    );
}
