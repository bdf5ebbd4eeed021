import { allocateRam, PageContent, type RamBlock } from '@godwit/core';
import { Advice, advise, viewMemory } from '@godwit/posix';

import { formatBytes, group, type MicroGroup, type MicroTask } from './micro-task.ts';

/** No run of pages is looked at in one go that is longer than a sender would. */
const LOOK_PAGES = 4096;

/** Are these pages zero? In memory that is larger than the processor's cache, if there is enough. */
export function zeroPageTasks(memoryBytes: number): MicroGroup {
  const bytes = Math.min(memoryBytes / 4, 2 ** 28);
  const ids = ['zero', 'non-zero', 'middle', 'alternating'];
  const ram = allocateRam(ids.map((id) => ({ id, byteLength: bytes })));
  const [zero, nonZero, middle, alternating] = ram.blocks as [
    RamBlock,
    RamBlock,
    RamBlock,
    RamBlock,
  ];
  for (const { address } of ram.blocks) advise(address, bytes, Advice.POPULATE_WRITE);
  const { pageBytes } = zero;
  setByte(nonZero, 0, pageBytes);
  setByte(middle, pageBytes / 2, pageBytes);
  setByte(alternating, 0, 2 * pageBytes);
  const tasks: MicroTask[] = [
    readTask(zero),
    { ...runTask('pages that are zero, as runs', zero), bytes },
    { ...pageTask('pages that are zero, one by one', zero), bytes },
    runTask('every second page is zero, as runs', alternating),
    pageTask('pages whose first byte is not zero', nonZero),
    pageTask('pages with one byte in the middle', middle),
  ];
  return group(`zero pages, ${formatBytes(bytes)} of each`, tasks, () => ram[Symbol.dispose]());
}

function setByte(block: RamBlock, offset: number, step: number): void {
  const bytes = new Uint8Array(viewMemory(block.address, block.byteLength));
  for (let at = offset; at < bytes.length; at += step) bytes[at] = 1;
}

/** The limit: a search for a byte that is not there, which reads all (memchr). */
function readTask({ address, byteLength, pageBytes }: RamBlock): MicroTask {
  const bytes = Buffer.from(viewMemory(address, byteLength));
  const run = (): void => void bytes.indexOf(0xff);
  const count = byteLength / pageBytes;
  return { name: 'memory is read: the limit', run, count, unit: 'page', bytes: byteLength };
}

function pageTask(name: string, block: RamBlock): MicroTask {
  const content = new PageContent(block);
  const count = block.byteLength / block.pageBytes;
  const run = (): void => {
    for (let page = 0; page < count; page++) content.isZero(page);
  };
  return { name, run, count, unit: 'page' };
}

function runTask(name: string, block: RamBlock): MicroTask {
  const content = new PageContent(block);
  const count = block.byteLength / block.pageBytes;
  const run = (): void => {
    for (let page = 0; page < count;) {
      page += Math.max(1, content.zeroRun(page, Math.min(page + LOOK_PAGES, count)));
    }
  };
  return { name, run, count, unit: 'page' };
}
