import {
  type ControlMessage,
  decodeControl,
  decodeFrameHeader,
  encodeControl,
  encodeFrameHeader,
  FRAME_HEADER_BYTES,
  FrameType,
  newFrameHeader,
} from '@godwit/transport';
import type { Bench } from 'tinybench';

const BATCH = 1000;

/** Frame headers by the thousand, since one alone is below the clock; control messages one by one. */
export function addFrameTasks(bench: Bench): void {
  const bytes = new DataView(new ArrayBuffer(FRAME_HEADER_BYTES));
  const header = newFrameHeader();
  const limits = { pageBytes: 4096, blockPages: [1 << 20] };
  const complete: ControlMessage = { t: 'complete', pages: 66_560, digest: new Uint8Array(32) };
  const frame = encodeControl(complete);
  encodeFrameHeader(bytes, 0, FrameType.PAGES, 0, 0, 256, 256 * 4096);
  bench
    .add('encode a frame header, × 1000', () => {
      for (let i = 0; i < BATCH; i++) {
        encodeFrameHeader(bytes, 0, FrameType.PAGES, 0, i, 256, 256 * 4096);
      }
    })
    .add('decode and check a frame header, × 1000', () => {
      for (let i = 0; i < BATCH; i++) decodeFrameHeader(bytes, 0, header, limits);
    })
    .add("encode 'complete'", () => void encodeControl(complete))
    .add("decode and check 'complete'", () => {
      decodeControl(frame.subarray(FRAME_HEADER_BYTES));
    });
}
