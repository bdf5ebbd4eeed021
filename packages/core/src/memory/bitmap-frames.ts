import {
  BITMAP_BODY_BYTES_MAX,
  encodeFrameHeader,
  FRAME_HEADER_BYTES,
  type FrameType,
} from '@godwit/transport';
import type { PageBitmap } from './page-bitmap.ts';

const PAGES_PER_FRAME = BITMAP_BODY_BYTES_MAX * 8;

/** The bitmaps of all blocks as whole frames, as many a block as the limit of a body asks. */
export function* bitmapFrames(
  type: typeof FrameType.DISCARD | typeof FrameType.RECV_BITMAP,
  bitmaps: readonly PageBitmap[],
): Generator<Uint8Array> {
  for (const [block, bitmap] of bitmaps.entries()) {
    for (let first = 0; first < bitmap.pages; first += PAGES_PER_FRAME) {
      const count = Math.min(PAGES_PER_FRAME, bitmap.pages - first);
      const body = bitmap.toBytes(first, count);
      const frame = new Uint8Array(FRAME_HEADER_BYTES + body.byteLength);
      const header = new DataView(frame.buffer);
      encodeFrameHeader(header, 0, type, block, first, count, body.byteLength);
      frame.set(body, FRAME_HEADER_BYTES);
      yield frame;
    }
  }
}
