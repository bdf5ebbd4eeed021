import { randomFillSync } from 'node:crypto';
import { closeDescriptor, pageBytes, socketPair } from '@godwit/posix';
import {
  channelSource,
  type FrameHeader,
  FrameReader,
  FrameType,
  inflatePages,
} from '@godwit/transport';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import type { PageBitmap } from '../src/memory/page-bitmap.ts';
import { PageBatch, type PageBatchOptions } from '../src/threads/page-batch.ts';
import { RunCompressor } from '../src/threads/run-compressor.ts';
import { bitmapsOf, bytesOf, pageOf, pagesIn, realRam } from './real-ram.ts';

const HEADER_BYTES = 24;

type Frame = Pick<FrameHeader, 'type' | 'block' | 'firstPage' | 'pageCount'> & {
  readonly body: Uint8Array;
};

/** A batch over fresh RAM, and the other end of the socket that it is written to. */
function batchOver(...blockPages: number[]) {
  return batchWith(undefined, ...blockPages);
}

function batchWith(options: PageBatchOptions | undefined, ...blockPages: number[]) {
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
function touch(
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

test('dirty pages that lie side by side are claimed together and leave as they are', () => {
  const it = batchOver(40, 10);
  touch(it, 1, 3, 4, 7);
  expect(it.batch.claim(1, 3, 100)).toBe(4);
  expect(pagesIn(it.dirty[1])).toEqual([]);
  expect([it.batch.normalPages, it.batch.zeroPages]).toEqual([4, 0]);
  expect(it.batch.byteLength).toBe(HEADER_BYTES + 4 * pageBytes);
  const [frame, ...others] = it.transmit();
  expect(frame).toMatchObject({ type: FrameType.PAGES, block: 1, firstPage: 3, pageCount: 4 });
  expect(frame?.body).toEqual(bytesOf(it.blocks[1]).slice(3 * pageBytes, 7 * pageBytes));
  expect(others).toEqual([]);
  expect(it.batch.byteLength).toBe(0);
});

test('a checked frame carries what its checksum says, whatever the guest writes meanwhile', () => {
  const it = batchWith({ looksForZeros: () => true, checks: true }, 40);
  touch(it, 0, 3, 4, 7);
  touch(it, 0, 9, 2, 0);
  const before = bytesOf(it.blocks[0]).slice(3 * pageBytes, 7 * pageBytes);
  expect([it.batch.claim(0, 3, 100), it.batch.claim(0, 9, 100)]).toEqual([4, 2]);
  pageOf(it.blocks[0], 4).fill(8); // after the claim and before the write
  const [pages, zeros] = it.transmit(); // reads with checks
  expect(pages?.body).toEqual(before);
  expect(zeros).toMatchObject({ type: FrameType.ZERO, firstPage: 9, pageCount: 2 });
});

test('checked batches are full before their copies have no room', () => {
  const it = batchWith({ looksForZeros: () => true, checks: true }, 600);
  touch(it, 0, 0, 600, 7);
  expect(it.batch.claim(0, 0, 600)).toBe(256);
  expect(it.batch.isFull).toBe(false);
  expect(it.batch.claim(0, 256, 600)).toBe(256);
  expect(it.batch.isFull).toBe(true);
  it.batch.clear();
  expect(it.batch.isFull).toBe(false);
});

test('pages of zeros are told without their content', () => {
  const it = batchOver(40);
  touch(it, 0, 5, 6, 0);
  expect(it.batch.claim(0, 5, 100)).toBe(6);
  expect(it.transmit()).toEqual([
    { type: FrameType.ZERO, block: 0, firstPage: 5, pageCount: 6, body: new Uint8Array() },
  ]);
  expect([it.batch.normalPages, it.batch.zeroPages]).toEqual([0, 6]);
});

test('a hole is told in one frame, however long, up to the next page that exists', () => {
  const it = batchOver(5000);
  it.dirty[0]?.fill();
  touch(it, 0, 4000, 1, 9);
  expect(it.batch.claim(0, 10, 1)).toBe(3990);
  const frames = it.transmit();
  expect(frames).toMatchObject([{ type: FrameType.ZERO, firstPage: 10, pageCount: 3990 }]);
  expect(it.batch.claim(0, 4001, 1)).toBe(999);
});

test('no page that does not exist is read', () => {
  const it = batchOver(3);
  it.dirty[0]?.fill();
  pageOf(it.blocks[0], 1).fill(9); // were it looked at, it would not be zero
  expect(it.batch.claim(0, 0, 3)).toBe(3);
  expect(it.transmit()).toMatchObject([{ type: FrameType.ZERO, pageCount: 3 }]);
  it.dirty[0]?.add(1);
  it.dirty[0]?.take(1);
  it.batch.addClaimed(0, 1);
  expect(it.transmit()).toMatchObject([{ type: FrameType.ZERO, firstPage: 1, pageCount: 1 }]);
});

test('a claim ends at a clean page, at a hole, and where zeros begin or end', () => {
  const it = batchOver(12);
  touch(it, 0, 0, 10, 1);
  it.dirty[0]?.take(2);
  it.present[0]?.take(5);
  pageOf(it.blocks[0], 7).fill(0);
  const claimed: number[] = [];
  for (const page of [0, 3, 5, 6, 7, 8]) claimed.push(it.batch.claim(0, page, 100));
  expect(claimed).toEqual([2, 2, 1, 1, 1, 2]);
  const told = it.transmit().map(({ type, firstPage }) => [type, firstPage]);
  const { PAGES, ZERO } = FrameType;
  expect(told).toEqual([
    [PAGES, 0],
    [PAGES, 3],
    [ZERO, 5],
    [PAGES, 6],
    [ZERO, 7],
    [PAGES, 8],
  ]);
});

test('a claim takes no more pages than it may, nor more than a frame is meant to hold', () => {
  const it = batchOver(600);
  touch(it, 0, 0, 600, 1);
  expect(it.batch.claim(0, 0, 3)).toBe(3);
  expect(it.batch.claim(0, 3, 1000)).toBe(256);
  expect(pagesIn(it.dirty[0])[0]).toBe(259);
});

test('a page that somebody else took is not claimed, and nothing is added', () => {
  const it = batchOver(10);
  touch(it, 0, 0, 10, 1);
  it.dirty[0]?.takeRun(4, 2);
  expect(it.batch.claim(0, 4, 10)).toBe(0);
  it.present[0]?.clear();
  expect(it.batch.claim(0, 4, 10)).toBe(0);
  expect([it.batch.byteLength, it.batch.normalPages, it.batch.zeroPages]).toEqual([0, 0, 0]);
  expect(pagesIn(it.dirty[0])).toEqual([0, 1, 2, 3, 6, 7, 8, 9]);
});

test('a page that the caller has claimed is added by itself, as what it is', () => {
  const it = batchOver(4);
  touch(it, 0, 1, 1, 5);
  touch(it, 0, 2, 1, 0);
  for (const page of [1, 2, 3]) it.batch.addClaimed(0, page);
  expect(it.transmit()).toMatchObject([
    { type: FrameType.PAGES, firstPage: 1, pageCount: 1 },
    { type: FrameType.ZERO, firstPage: 2, pageCount: 1 },
    { type: FrameType.ZERO, firstPage: 3, pageCount: 1 },
  ]);
  expect([it.batch.normalPages, it.batch.zeroPages]).toEqual([1, 2]);
});

test('what was not written is forgotten for the next link', () => {
  const it = batchOver(4);
  touch(it, 0, 0, 4, 5);
  it.batch.claim(0, 0, 2);
  it.batch.clear();
  expect(it.batch.byteLength).toBe(0);
  it.batch.claim(0, 2, 2);
  expect(it.transmit()).toMatchObject([{ firstPage: 2, pageCount: 2 }]);
});

test('a batch without a page writes nothing', () => {
  const it = batchOver(4);
  expect(it.batch.write(-1)).toBe(0);
});

test('a batch is full after 512 frames, which leave in one go', () => {
  const it = batchOver(1100);
  for (let page = 0; page < 1100; page += 2) it.dirty[0]?.add(page);
  let frames = 0;
  for (; !it.batch.isFull; frames += 1) expect(it.batch.claim(0, frames * 2, 10)).toBe(1);
  expect(frames).toBe(512);
  expect(it.transmit()).toHaveLength(512);
  expect(it.batch.isFull).toBe(false);
});

test('a link that has ended is an error by its code', () => {
  const it = batchOver(2);
  const [near, far] = socketPair();
  onTestFinished(() => closeDescriptor(near));
  closeDescriptor(far);
  touch(it, 0, 0, 2, 5);
  it.batch.claim(0, 0, 2);
  expect(() => it.batch.write(near)).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
});

test('where nobody looks, pages of zeros that exist leave as they are, and holes are told as ever', () => {
  let looks = false;
  const it = batchWith({ looksForZeros: () => looks }, 20);
  touch(it, 0, 0, 10, 0);
  it.dirty[0]?.addRun(10, 10);
  expect(it.batch.claim(0, 0, 4)).toBe(4);
  it.batch.addClaimed(0, 9);
  looks = true; // from the next claim on
  expect(it.batch.claim(0, 4, 4)).toBe(4);
  it.batch.addClaimed(0, 8);
  expect(it.batch.claim(0, 10, 4)).toBe(10);
  const told = it.transmit().map(({ type, firstPage, pageCount }) => [type, firstPage, pageCount]);
  const { PAGES, ZERO } = FrameType;
  expect(told).toEqual([
    [PAGES, 0, 4],
    [PAGES, 9, 1],
    [ZERO, 4, 4],
    [ZERO, 8, 1],
    [ZERO, 10, 10],
  ]);
});

test('of zeros alone: the others are passed over and stay dirty', () => {
  const it = batchOver(40);
  touch(it, 0, 0, 30, 0);
  touch(it, 0, 5, 10, 1);
  it.dirty[0]?.addRun(30, 10);
  const steps: number[] = [];
  for (let page = 0; page < 40;) {
    const step = it.batch.claimZeros(0, page, 100);
    steps.push(step);
    page += step;
  }
  expect(steps).toEqual([5, 10, 15, 10]);
  const told = it.transmit().map(({ type, firstPage, pageCount }) => [type, firstPage, pageCount]);
  const { ZERO } = FrameType;
  expect(told).toEqual([
    [ZERO, 0, 5],
    [ZERO, 15, 15],
    [ZERO, 30, 10],
  ]);
  expect(pagesIn(it.dirty[0])).toEqual([5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
});

test('pages that can be compressed leave so, others and those asked for as they are', () => {
  const it = batchWith({ looksForZeros: () => true, compressor: new RunCompressor(1) }, 200);
  touch(it, 0, 0, 100, 7);
  touch(it, 0, 100, 4, 1);
  randomFillSync(bytesOf(it.blocks[0]), 100 * pageBytes, 4 * pageBytes);
  touch(it, 0, 104, 3, 0);
  expect(it.batch.claim(0, 0, 1000)).toBe(64); // 256 KiB
  expect(it.batch.claim(0, 64, 36)).toBe(36);
  expect(it.batch.claim(0, 100, 4)).toBe(4);
  it.dirty[0]?.take(104);
  it.batch.addClaimed(0, 104);
  it.batch.addClaimed(0, 5);
  expect(it.batch.claim(0, 105, 100)).toBe(2);
  expect([it.batch.normalPages, it.batch.zeroPages]).toEqual([105, 3]);
  const frames = it.transmit();
  const told = frames.map(({ type, firstPage, pageCount }) => [type, firstPage, pageCount]);
  const { PAGES, ZERO, ZLIB_PAGES } = FrameType;
  expect(told).toEqual([
    [ZLIB_PAGES, 0, 64],
    [ZLIB_PAGES, 64, 36],
    [PAGES, 100, 4],
    [ZERO, 104, 1],
    [PAGES, 5, 1],
    [ZERO, 105, 2],
  ]);
  for (const { body, firstPage, pageCount } of frames.slice(0, 2)) {
    const pages = new Uint8Array(pageCount * pageBytes);
    inflatePages(body, pages);
    const end = (firstPage + pageCount) * pageBytes;
    expect(Buffer.from(pages).equals(bytesOf(it.blocks[0]).slice(firstPage * pageBytes, end))).toBe(
      true,
    );
  }
});

test('a batch is full when there is no room for what the next run is compressed to', () => {
  const it = batchWith({ looksForZeros: () => true, compressor: new RunCompressor(1) }, 640);
  touch(it, 0, 0, 640, 1);
  // Every other page shrinks to nothing: no frame is longer than half of its pages.
  for (let page = 0; page < 640; page += 2) randomFillSync(pageOf(it.blocks[0], page));
  let page = 0;
  while (!it.batch.isFull) page += it.batch.claim(0, page, 1000);
  expect(page).toBeGreaterThan(3 * 64);
  expect(page).toBeLessThan(640);
  it.batch.clear();
  expect(it.batch.isFull).toBe(false);
});

test('whatever is dirty arrives once and as it is; whatever is not stays at home', () => {
  const pages = 70;
  const somePages = fc.array(
    fc.record({
      isDirty: fc.boolean(),
      kind: fc.constantFrom('absent', 'zero', 'data'),
    }),
    { minLength: pages, maxLength: pages },
  );
  const it = batchOver(pages);
  const bytes = bytesOf(it.blocks[0]);
  const [dirty, present] = [it.dirty[0], it.present[0]] as [PageBitmap, PageBitmap];
  fc.assert(
    fc.property(somePages, fc.integer({ min: 1, max: 20 }), (states, pagesMax) => {
      dirty.clear();
      present.clear();
      for (const [page, { isDirty, kind }] of states.entries()) {
        bytes.fill(kind === 'data' ? page + 1 : 0, page * pageBytes, (page + 1) * pageBytes);
        if (kind !== 'absent') present.add(page);
        if (isDirty) dirty.add(page);
      }
      const arrived = new Map<number, number>();
      for (let page = dirty.next(0); page >= 0; page = dirty.next(page)) {
        page += it.batch.claim(0, page, pagesMax);
        for (const { type, firstPage, pageCount, body } of it.transmit()) {
          expect(body.byteLength).toBe(type === FrameType.PAGES ? pageCount * pageBytes : 0);
          for (let i = 0; i < pageCount; i += 1) {
            expect(arrived.has(firstPage + i)).toBe(false);
            arrived.set(firstPage + i, body[i * pageBytes] ?? 0);
          }
        }
      }
      const wanted = [...states.entries()].filter(([, { isDirty }]) => isDirty);
      expect([...arrived]).toEqual(
        wanted.map(([page, { kind }]) => [page, kind === 'data' ? page + 1 : 0]),
      );
      expect(dirty.count()).toBe(0);
    }),
    { numRuns: 60 },
  );
});
