import { createRequire } from 'node:module';
import { crc32 as zlibCrc32 } from 'node:zlib';
import { FRAME_HEADER_BYTES } from './frame.ts';
import { sealFrameHeader } from './header-check.ts';

/** @param before the CRC of what precedes the bytes; 0 for none. */
type Crc32 = (bytes: Uint8Array, before?: number) => number;

/** Below this a call into the addon takes longer than all that it saves. */
const SHORT_BYTES = 1024;

let loaded: Crc32 | undefined;

/**
 * CRC-32 as zlib, gzip and Ethernet have it (RFC 1952, section 8).
 *
 * @param before the checksum of what precedes the bytes.
 */
export function checksumOf(bytes: Uint8Array, before = 0): number {
  if (bytes.byteLength < SHORT_BYTES) return zlibCrc32(bytes, before);
  loaded ??= loadCrc32();
  return loaded(bytes, before);
}

/** A whole frame, as encoded: the checksum of its body and the check of its header are put in, in place. */
export function sealFrame(frame: Uint8Array): void {
  const header = new DataView(frame.buffer, frame.byteOffset, FRAME_HEADER_BYTES);
  sealFrameHeader(header, 0, checksumOf(frame.subarray(FRAME_HEADER_BYTES)));
}

/**
 * The addon uses what the processor has for it, and is loaded only where a checksum is asked for. On a
 * platform that it was not built for, Node's own computes the same, more slowly.
 */
function loadCrc32(): Crc32 {
  try {
    const addon = createRequire(import.meta.url)('@node-rs/crc32') as { crc32: Crc32 };
    return addon.crc32;
  } catch {
    return zlibCrc32;
  }
}
