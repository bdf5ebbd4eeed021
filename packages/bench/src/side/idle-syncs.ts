import { allocateRam, PageBitmap, PagemapDirtyLog, type RamBlock } from '@godwit/core';
import { Advice, advise } from '@godwit/posix';

import { monotonicMillis } from '../migrate/clock.ts';
import { pageWriter } from './page-writer.ts';

const SYNCS = 5;
const HUGE_PAGE_BYTES = 2 ** 21;

/**
 * @returns how many milliseconds dirty syncs of an idle guest take. All of its memory is touched, and
 *   was written once since the first sync, so that no huge page is left whole: the longest way.
 */
export function idleSyncs(memoryBytes: number): readonly number[] {
  using ram = allocateRam([{ id: 'idle', byteLength: memoryBytes }]);
  const [block] = ram.blocks as [RamBlock]; // what it was asked for
  advise(block.address, memoryBytes, Advice.POPULATE_WRITE);
  using log = new PagemapDirtyLog(ram.blocks);
  const dirty = new PageBitmap(memoryBytes / block.pageBytes);
  const present = new PageBitmap(memoryBytes / block.pageBytes);
  const sync = (): void => void log.sync([dirty], [present]);
  sync();
  pageWriter(block)(HUGE_PAGE_BYTES / block.pageBytes);
  sync();
  return Array.from({ length: SYNCS }, () => {
    const startMillis = monotonicMillis();
    sync();
    return monotonicMillis() - startMillis;
  });
}
