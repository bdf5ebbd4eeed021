import {
  BITMAP_BODY_BYTES_MAX,
  ChannelError,
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

/**
 * The last byte of a bitmap has bits for pages that are not there.
 *
 * @param what the frame is called.
 * @throws {ChannelError} `ERR_PROTOCOL`: such a bit is set.
 */
export function checkPadding(
  what: string,
  { block, pageCount }: { readonly block: number; readonly pageCount: number },
  bits: Uint8Array,
): void {
  if (pageCount % 8 === 0 || (bits.at(-1) as number) >>> (pageCount % 8) === 0) return;
  throw new ChannelError('ERR_PROTOCOL', `${what} of block ${block} has bits past its end`);
}
