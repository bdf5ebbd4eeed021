import type { FrameHeader } from '@godwit/transport';
import { checkPadding } from './bitmap-frames.ts';
import { discardPages, removePages } from './guest-ram.ts';
import { PageBitmap } from './page-bitmap.ts';
import type { RamBlock } from './ram-block.ts';
import type { ReceivedPages } from './received-pages.ts';

/** Pages that never arrived are zero as they are; the others become so again. */
export function makeZero(
  block: RamBlock,
  received: PageBitmap,
  first: number,
  count: number,
): void {
  const end = first + count;
  for (let page = received.next(first, end); page >= 0;) {
    const clear = received.nextClear(page, end);
    const runEnd = clear < 0 ? end : clear;
    discardPages(block, page, runEnd - page);
    page = received.next(runEnd, end);
  }
}

/** @param bits of a DISCARD frame: pages that are not received any more, whatever they hold. */
export function discardStale(
  blocks: readonly RamBlock[],
  received: ReceivedPages,
  header: FrameHeader,
  bits: Uint8Array,
): void {
  const { block, firstPage, pageCount } = header;
  checkPadding('DISCARD', header, bits);
  const bitmap = received.bitmaps[block] as PageBitmap;
  const stale = new PageBitmap(firstPage + pageCount);
  new Uint8Array(stale.buffer).set(bits, firstPage / 8);
  stale.forEachRun((first, count) => {
    // A page that never came is not there; only what came takes a system call.
    if (bitmap.next(first, first + count) < 0) return;
    removePages(blocks[block] as RamBlock, first, count);
    received.removeRun(block, first, count);
  });
}
