import { allocateRam, PageBitmap, PagemapDirtyLog, type RamBlock } from '@godwit/core';
import { viewMemory } from '@godwit/posix';

import { formatBytes, group, type MicroGroup } from './micro-task.ts';

const SEGMENT_BYTES = 2 ** 30;
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
  const writeEach = (step: number) => () => {
    run(); // what was written before does not count
    dirty.clear();
    write(step);
  };
  const some = Math.min(DIRTY_PAGES, pages);
  const counted = { run, count: pages, unit: 'page' };
  run();
  return group(
    `dirty sync of ${formatBytes(memoryBytes)}`,
    [
      { name: 'nothing written', ...counted },
      {
        name: `${some} pages written, far apart`,
        ...counted,
        before: writeEach(Math.floor(pages / some)),
        runs: SOME_DIRTY_RUNS,
      },
      { name: 'every page written', ...counted, before: writeEach(1), runs: allDirtyRuns },
    ],
    () => {
      log[Symbol.dispose]();
      ram[Symbol.dispose]();
    },
  );
}

/** @returns a guest's stores: one to every page, or to one in `step`. */
function pageWriter({ address, byteLength, pageBytes }: RamBlock): (step: number) => void {
  const segments: Uint32Array[] = [];
  for (let at = 0; at < byteLength; at += SEGMENT_BYTES) {
    const bytes = Math.min(SEGMENT_BYTES, byteLength - at);
    segments.push(new Uint32Array(viewMemory(address + at, bytes)));
  }
  const pageWords = pageBytes / 4;
  return (step) => {
    for (const words of segments) {
      for (let at = 0; at < words.length; at += step * pageWords) words[at] = at + 1;
    }
  };
}
