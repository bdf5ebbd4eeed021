import { closeDescriptor, pageBytes, socketPair } from '@godwit/posix';
import { channelSource, type FrameHeader, FrameReader } from '@godwit/transport';
import { expect, onTestFinished } from 'vitest';
import { PageBatch, type PageBatchOptions } from '../src/threads/page-batch.ts';
import { bitmapsOf, pageOf, realRam } from './real-ram.ts';

export const HEADER_BYTES = 24;

type Frame = Pick<FrameHeader, 'type' | 'block' | 'firstPage' | 'pageCount'> & {
  readonly body: Uint8Array;
};

/** A batch over fresh RAM, and the other end of the socket that it is written to. */
export function batchOver(...blockPages: number[]) {
  return batchWith(undefined, ...blockPages);
}

export function batchWith(options: PageBatchOptions | undefined, ...blockPages: number[]) {
  const blocks = realRam(blockPages);
  const [dirty, present] = [bitmapsOf(blocks), bitmapsOf(blocks)];
  const batch = new PageBatch({ blocks, dirty, present }, options);
  const [near, far] = socketPair();
  onTestFinished(() => closeDescriptor(near));
  onTestFinished(() => closeDescriptor(far));
  const reader = new FrameReader(channelSource(far), 64 * 1024);
  /** Writes what is claimed, little enough for the socket to hold, and reads it as a peer does. */
  const transmit = (): Frame[] => {
    const frames: Frame[] = [];
    for (let left = batch.write(near); left > 0;) {
      const checked = options?.checks === true;
      expect(reader.next({ pageBytes, blockPages, checked })).toBe(true);
      const { type, block, firstPage, pageCount } = reader.header;
      const body = reader.readBody();
      frames.push({ type, block, firstPage, pageCount, body });
      left -= HEADER_BYTES + body.byteLength;
    }
    return frames;
  };
  return { blocks, dirty, present, batch, transmit, near };
}

/** Marks pages as written by the guest, or touched by it and still zero. */
export function touch(
  { blocks, dirty, present }: ReturnType<typeof batchOver>,
  block: number,
  first: number,
  count: number,
  fill: number,
): void {
  for (let page = first; page < first + count; page += 1) pageOf(blocks[block], page).fill(fill);
  dirty[block]?.addRun(first, count);
  present[block]?.addRun(first, count);
}
