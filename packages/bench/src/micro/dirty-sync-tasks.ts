import { allocateRam, PageBitmap, PagemapDirtyLog, type RamBlock } from '@godwit/core';
import { pageWriter } from '../side/page-writer.ts';
import { formatBytes, group, type MicroGroup } from './micro-task.ts';

const DIRTY_PAGES = 10_000;
const SOME_DIRTY_RUNS = 20;
const ALL_DIRTY_RUNS_MAX = 5;
/** Of the writes to every page before a run, which are not timed but waited for, all together. */
const ALL_DIRTY_MILLIS = 8_000;

/** Dirty syncs of a guest whose pages have all been touched; its writes are not timed. */
export function dirtySyncTasks(memoryBytes: number): MicroGroup {
  const ram = allocateRam([{ id: 'bench', byteLength: memoryBytes }]);
  const [block] = ram.blocks as [RamBlock]; // what it was asked for
  const pages = memoryBytes / block.pageBytes;
  const write = pageWriter(block);
  const startMillis = performance.now();
  write(1);
  const affordable = Math.floor(ALL_DIRTY_MILLIS / (performance.now() - startMillis));
  const allDirtyRuns = Math.max(1, Math.min(affordable, ALL_DIRTY_RUNS_MAX));
  const log = new PagemapDirtyLog(ram.blocks);
  const dirty = new PageBitmap(pages);
  const present = new PageBitmap(pages);
  const run = (): void => void log.sync([dirty], [present]);
  const writeEach = (step: number, count?: number) => () => {
    run(); // what was written before does not count
    dirty.clear();
    write(step, count);
  };
  const some = Math.min(DIRTY_PAGES, pages);
  const counted = { run, count: pages, unit: 'page' };
  run();
  return group(
    `dirty sync of ${formatBytes(memoryBytes)}`,
    [
      { name: 'nothing written, huge pages whole', ...counted },
      {
        name: `${some} pages written, far apart`,
        ...counted,
        before: writeEach(Math.floor(pages / some)),
        runs: SOME_DIRTY_RUNS,
      },
      {
        name: `${some} pages written, one after the other`,
        ...counted,
        before: writeEach(1, some),
        runs: SOME_DIRTY_RUNS,
      },
      { name: 'every page written', ...counted, before: writeEach(1), runs: allDirtyRuns },
      { name: 'nothing written, huge pages broken up by writes', ...counted },
    ],
    () => {
      log[Symbol.dispose]();
      ram[Symbol.dispose]();
    },
  );
}
