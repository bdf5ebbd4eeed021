import { FRAME_HEADER_BYTES, type FrameHeader, FrameType } from '@godwit/transport';
import { Placing } from './placing-gate.ts';

/** Room for what a receiver has read and not taken. */
export const STAGING_BYTES = 1024 * 1024;
export const READ_AHEAD_BYTES = 64 * 1024;
/** In postcopy: what one read takes is not interrupted by who is woken meanwhile. */
const READ_AHEAD_BYTES_POSTCOPY = 256 * 1024;
const LONG_RUN_BYTES = 256 * 1024;

/** Pages that go straight into guest memory are copied once more where they were read ahead. */
export function readAheadAfter(header: FrameHeader, placing: Placing): number {
  if (placing === Placing.BY_FAULT) return READ_AHEAD_BYTES_POSTCOPY;
  if (header.type === FrameType.ZLIB_PAGES) return STAGING_BYTES; // it is copied anyway
  // After a long run another one is likely: only its header is looked for.
  return header.bodyBytes >= LONG_RUN_BYTES ? FRAME_HEADER_BYTES : READ_AHEAD_BYTES;
}
