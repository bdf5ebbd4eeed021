import { closeDescriptor, pageBytes, socketPair } from '@godwit/posix';
import { FrameType } from '@godwit/transport';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import type { PageBitmap } from '../src/memory/page-bitmap.ts';
import { bytesOf, pageOf, pagesIn } from './real-ram.ts';
import { batchOver, HEADER_BYTES, touch } from './page-batch-fixture.ts';

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
