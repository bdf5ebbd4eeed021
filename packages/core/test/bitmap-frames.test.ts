import { decodeFrameHeader, FrameType, newFrameHeader } from '@godwit/transport';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bitmapFrames } from '../src/memory/bitmap-frames.ts';
import { PageBitmap } from '../src/memory/page-bitmap.ts';
import { bitmapWith, pagesIn } from './real-ram.ts';

/** What a peer that checks every header makes of the frames. */
function decode(frames: Iterable<Uint8Array>, blockPages: readonly number[]) {
  const header = newFrameHeader();
  return Array.from(frames, (frame) => {
    const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
    decodeFrameHeader(view, 0, header, { pageBytes: 4096, blockPages });
    const body = frame.subarray(24);
    expect(body.byteLength).toBe(header.bodyBytes);
    return { ...header, body };
  });
}

test('a bitmap is a frame of these very bytes', () => {
  const [frame, none] = [...bitmapFrames(FrameType.DISCARD, [bitmapWith(12, [0, 11])])];
  // Type, flags, block, body; first page; pages, checksum; bits.
  const hex = ['03 00 0000 02000000', '0000000000000000', '0c000000 00000000', '0108'];
  expect(Buffer.from(frame ?? []).toString('hex')).toBe(hex.join('').replaceAll(' ', ''));
  expect(none).toBeUndefined();
});

test('every block has its bitmap, in order', () => {
  const bitmaps = [bitmapWith(33, [32]), bitmapWith(8, []), bitmapWith(1, [0])];
  const frames = decode(bitmapFrames(FrameType.RECV_BITMAP, bitmaps), [33, 8, 1]);
  expect(frames).toMatchObject([
    { type: FrameType.RECV_BITMAP, block: 0, firstPage: 0, pageCount: 33, bodyBytes: 5 },
    { type: FrameType.RECV_BITMAP, block: 1, firstPage: 0, pageCount: 8, bodyBytes: 1 },
    { type: FrameType.RECV_BITMAP, block: 2, firstPage: 0, pageCount: 1, bodyBytes: 1 },
  ]);
  expect(frames.map(({ body }) => body.toString())).toEqual(['0,0,0,0,1', '0', '1']);
});

test('a block of more than 32 GiB goes in several frames, which put together are its bitmap', () => {
  const frameGroup = 8 * 1024 * 1024; // pages whose bits are the longest body
  const pages = 2 * frameGroup + 40;
  const bitmap = bitmapWith(pages, [0, frameGroup - 1, frameGroup, pages - 1]);
  const frames = decode(bitmapFrames(FrameType.DISCARD, [bitmap]), [pages]);
  expect(frames.map(({ firstPage, pageCount }) => [firstPage, pageCount])).toEqual([
    [0, frameGroup],
    [frameGroup, frameGroup],
    [2 * frameGroup, 40],
  ]);
  const together = new PageBitmap(pages);
  for (const { firstPage, body } of frames) {
    new Uint8Array(together.buffer).set(body, firstPage / 8);
  }
  expect(pagesIn(together)).toEqual(pagesIn(bitmap));
});

test('a frame at the limit of a body has no empty frame after it', () => {
  const pages = 8 * 1024 * 1024;
  expect([...bitmapFrames(FrameType.DISCARD, [new PageBitmap(pages)])]).toHaveLength(1);
});

test('a peer that checks every header takes the bitmaps of any blocks', () => {
  const someBlocks = fc.array(fc.tuple(fc.integer({ min: 1, max: 100 }), fc.array(fc.nat(99))));
  fc.assert(
    fc.property(someBlocks, (blocks) => {
      const bitmaps = blocks.map(([pages, set]) =>
        bitmapWith(
          pages,
          set.map((page) => page % pages),
        ),
      );
      const blockPages = bitmaps.map(({ pages }) => pages);
      for (const frame of decode(bitmapFrames(FrameType.DISCARD, bitmaps), blockPages)) {
        expect(frame.body).toEqual(bitmaps[frame.block]?.toBytes());
      }
    }),
  );
});
