import { allocateRam, PortableDirtyLog, PageBitmap, RamAccess, type RamBlock } from '@godwit/core';
import { viewMemory } from '@godwit/posix';

import { formatBytes, group, type MicroGroup, type MicroTask } from './micro-task.ts';

/** Of a round: what the processor's cache holds the tables of, but not the pages. */
const BYTES_MAX = 2 ** 28;

/**
 * What portable memory takes of its guest: a store to each page with and without the questions that go with
 * it, and a load; and what its dirty log takes.
 */
export function accessTasks(memoryBytes: number): MicroGroup {
  const byteLength = Math.min(memoryBytes / 4, BYTES_MAX);
  const ram = allocateRam([{ id: 'access', byteLength }], 'anon', 'portable');
  const [block] = ram.blocks as [RamBlock]; // what it was asked for
  const words = new Int32Array(viewMemory(block.address, byteLength));
  const pageWords = block.pageBytes / 4;
  const pages = byteLength / block.pageBytes;
  const access = new RamAccess(block);
  const log = new PortableDirtyLog(ram.blocks);
  const [dirty, present] = [new PageBitmap(pages), new PageBitmap(pages)];
  let sum = 0;
  const plain = (): void => {
    for (let page = 0; page < pages; page++) words[page * pageWords]! += 1;
  };
  const stores = (): void => {
    for (let page = 0; page < pages; page++) {
      access.ensure(page);
      words[page * pageWords]! += 1;
      access.wrote(page);
    }
  };
  const loads = (): void => {
    for (let page = 0; page < pages; page++) {
      access.ensure(page);
      sum = (sum + words[page * pageWords]!) | 0;
    }
  };
  const sync = (): void => void log.sync([dirty], [present]);
  stores(); // the pages are there, and were all written
  const counted = { count: pages, unit: 'page' };
  const tasks: MicroTask[] = [
    { name: 'a word of each page is stored, the kernel watches', run: plain, ...counted },
    { name: 'the same by the accessor', run: stores, ...counted },
    { name: 'a word of each page is loaded by the accessor', run: loads, ...counted },
    { name: 'dirty sync, nothing written', run: sync, ...counted },
    { name: 'dirty sync, every page written', run: sync, before: stores, ...counted },
  ];
  return group(`portable memory, ${formatBytes(byteLength)}`, tasks, () => ram[Symbol.dispose]());
}
