import { decodeFrameHeader, FrameType, newFrameHeader } from '@godwit/transport';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bitmapFrames } from '../src/memory/bitmap-frames.ts';
import { PageBitmap } from '../src/memory/page-bitmap.ts';
import { proofOf } from '../src/memory/received-pages.ts';
import { RecvBitmaps } from '../src/migration/recv-bitmaps.ts';
import { bitmapWith, pagesIn } from './real-ram.ts';

const breach = expect.objectContaining({ code: 'ERR_PROTOCOL' }) as Error;

/** A part whose bits are given. */
function part(block: number, firstPage: number, pageCount: number, ...bytes: number[]) {
  return { block, firstPage, pageCount, bytes: Uint8Array.from(bytes) };
}

test('what the destination lacks is dirty afterwards, and nothing else', () => {
  const someBlocks = fc.array(
    fc.tuple(fc.constantFrom(1, 31, 32, 33, 64, 100), fc.array(fc.nat(99)), fc.array(fc.nat(99))),
    { minLength: 1, maxLength: 4 },
  );
  fc.assert(
    fc.property(someBlocks, (blocks) => {
      const received = blocks.map(([pages, set]) =>
        bitmapWith(
          pages,
          set.map((page) => page % pages),
        ),
      );
      const dirty = blocks.map(([pages, , set]) =>
        bitmapWith(
          pages,
          set.map((page) => page % pages),
        ),
      );
      const blockPages = received.map(({ pages }) => pages);
      const bitmaps = new RecvBitmaps(blockPages);
      const header = newFrameHeader();
      for (const frame of bitmapFrames(FrameType.RECV_BITMAP, received)) {
        const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
        decodeFrameHeader(view, 0, header, { pageBytes: 4096, blockPages });
        bitmaps.add({ ...header, bytes: frame.subarray(24) });
      }
      bitmaps.replaceDirty(dirty, proofOf(received));
      for (const [i, { pages }] of dirty.entries()) {
        const all = Array.from({ length: pages }, (_, page) => page);
        expect(pagesIn(dirty[i])).toEqual(all.filter((page) => received[i]?.has(page) === false));
      }
    }),
  );
});

test('a bitmap may come in parts, in order', () => {
  const bitmaps = new RecvBitmaps([70]);
  bitmaps.add(part(0, 0, 32, 1, 0, 0, 0x80));
  bitmaps.add(part(0, 32, 32, 0xff, 0xff, 0xff, 0xff));
  bitmaps.add(part(0, 64, 6, 0x20));
  const received = bitmapWith(70, [0, 31, 69]);
  received.addRun(32, 32);
  const dirty = [new PageBitmap(70)];
  bitmaps.replaceDirty(dirty, proofOf([received]));
  expect(dirty[0]?.count()).toBe(35);
});

test('a part that leaves a gap, comes twice or comes early is refused', () => {
  const gap = new RecvBitmaps([70]);
  expect(() => gap.add(part(0, 32, 32, 0, 0, 0, 0))).toThrow(breach);
  const twice = new RecvBitmaps([70]);
  twice.add(part(0, 0, 32, 0, 0, 0, 0));
  expect(() => twice.add(part(0, 0, 32, 0, 0, 0, 0))).toThrow(breach);
  const again = new RecvBitmaps([8]);
  again.add(part(0, 0, 8, 0));
  expect(() => again.add(part(0, 0, 8, 0))).toThrow(breach);
});

test('bits past the end of a block are refused', () => {
  for (const bits of [0b100_0000, 0b1000_0000]) {
    expect(() => new RecvBitmaps([6]).add(part(0, 0, 6, bits))).toThrow(breach);
  }
  new RecvBitmaps([6]).add(part(0, 0, 6, 0b11_1111));
});

test('without the bitmap of every block nothing is believed, and dirty stays as it was', () => {
  const bitmaps = new RecvBitmaps([8, 8]);
  bitmaps.add(part(0, 0, 8, 0xff));
  const dirty = [bitmapWith(8, [1]), bitmapWith(8, [2])];
  const claim = proofOf([bitmapWith(8, [0, 1, 2, 3, 4, 5, 6, 7]), new PageBitmap(8)]);
  expect(() => bitmaps.replaceDirty(dirty, claim)).toThrow(breach);
  expect(dirty.map((bitmap) => pagesIn(bitmap))).toEqual([[1], [2]]);
});

test('bitmaps that are not what the destination counted are refused, and dirty stays', () => {
  const received = bitmapWith(8, [0, 3]);
  const proof = proofOf([received]);
  const other = proofOf([bitmapWith(8, [0, 4])]);
  for (const wrong of [other, { ...proof, pages: 3 }, { ...proof, digest: other.digest }]) {
    const bitmaps = new RecvBitmaps([8]);
    bitmaps.add(part(0, 0, 8, 0b1001));
    const dirty = [bitmapWith(8, [7])];
    expect(() => bitmaps.replaceDirty(dirty, wrong)).toThrow(breach);
    expect(pagesIn(dirty[0])).toEqual([7]);
  }
});
