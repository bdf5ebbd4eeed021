import { allocateRam, PageBitmap, PageContent, PagemapDirtyLog } from '@godwit/core';
import { viewMemory } from '@godwit/posix';
import type { Bench } from 'tinybench';

const BYTES = 2 ** 30;
const PAGE_WORDS = 1024;
const DIRTY_PAGES = 2500;

/** Dirty syncs and zero pages over 1 GiB of touched memory. */
export function addMemoryTasks(bench: Bench): Disposable & { byteLength: number } {
  const ram = allocateRam([{ id: 'bench', byteLength: BYTES }]);
  const [block] = ram.blocks;
  if (block === undefined) throw new Error('no block');
  const words = new Uint32Array(viewMemory(block.address, BYTES));
  const pages = BYTES / block.pageBytes;
  for (let page = 0; page < pages; page++) words[page * PAGE_WORDS] = 1;
  const log = new PagemapDirtyLog(ram.blocks);
  const dirty = new PageBitmap(pages);
  const present = new PageBitmap(pages);
  const contents = new PageContent(block);
  log.sync([dirty], [present]);
  const touch = (step: number, value: number): void => {
    for (let page = 0; page < pages; page += step) words[page * PAGE_WORDS] = value;
  };
  bench
    .add('dirty sync of 1 GiB, nothing written', () => void log.sync([dirty], [present]))
    .add(
      `dirty sync of 1 GiB, ${DIRTY_PAGES} pages written`,
      () => void log.sync([dirty], [present]),
      { beforeEach: () => touch(Math.floor(pages / DIRTY_PAGES), 1) },
    )
    .add('dirty sync of 1 GiB, every page written', () => void log.sync([dirty], [present]), {
      beforeEach: () => touch(1, 1),
    })
    .add('zero page detection, 1000 pages that are not', () => {
      for (let page = 0; page < 1000; page++) contents.isZero(page);
    })
    .add(
      'zero page detection, 1000 pages that are',
      () => {
        for (let page = 0; page < 1000; page++) contents.isZero(page);
      },
      { beforeAll: () => touch(1, 0) },
    );
  return {
    byteLength: BYTES,
    [Symbol.dispose]: () => {
      log[Symbol.dispose]();
      ram[Symbol.dispose]();
    },
  };
}
