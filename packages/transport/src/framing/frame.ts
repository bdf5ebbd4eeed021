import assert from 'node:assert/strict';
import { ChannelError } from '../errors.ts';
import { CHECKED_FLAG, isHeaderIntact } from './header-check.ts';

/** Frame types; a number once used is never used for something else. */
export const FrameType = {
  PAGES: 0x01,
  ZERO: 0x02,
  DISCARD: 0x03,
  ZLIB_PAGES: 0x04,
  CONTROL: 0x10,
  DEVICE: 0x11,
  REQUEST: 0x20,
  RECV_BITMAP: 0x21,
  RESEND: 0x22,
  HEARTBEAT: 0x30,
} as const;
export type FrameType = (typeof FrameType)[keyof typeof FrameType];

export const FRAME_HEADER_BYTES = 24;
export const PAGES_BODY_BYTES_MAX = 4 * 1024 * 1024;
/** What the pages of one ZLIB_PAGES frame may come to, uncompressed. */
export const ZLIB_PAGES_BYTES_MAX = 1024 * 1024;
/** The body of a checked PAGES frame: its pages are placed when all of it has been looked at. */
export const CHECKED_PAGES_BYTES_MAX = 1024 * 1024;
export const BITMAP_BODY_BYTES_MAX = 1024 * 1024;
export const CONTROL_BODY_BYTES_MAX = 64 * 1024;
export const DEVICE_BODY_BYTES_MAX = 64 * 1024 * 1024;

/** The longest body of each type, in bytes; a frame that claims more is refused before it is read. */
const bodyBytesMax: Readonly<Record<FrameType, number>> = {
  [FrameType.PAGES]: PAGES_BODY_BYTES_MAX,
  [FrameType.ZERO]: 0,
  [FrameType.DISCARD]: BITMAP_BODY_BYTES_MAX,
  [FrameType.ZLIB_PAGES]: ZLIB_PAGES_BYTES_MAX - 1, // shorter than what is in it
  [FrameType.CONTROL]: CONTROL_BODY_BYTES_MAX,
  [FrameType.DEVICE]: DEVICE_BODY_BYTES_MAX,
  [FrameType.REQUEST]: 0,
  [FrameType.RECV_BITMAP]: BITMAP_BODY_BYTES_MAX,
  [FrameType.RESEND]: 0,
  [FrameType.HEARTBEAT]: 0,
};

/**
 * What precedes each body; little-endian.
 *
 *     0      1       2       4            8           16      20         24
 *     | type | flags | block | bodyLength | firstPage | count | checksum | body …
 *     | u8   | u8    | u16   | u32        | u64       | u32   | u32      |
 *
 * Of a checked frame the two highest bytes of the first page are the check of the header.
 *
 * One object is reused for frame after frame: no allocation where pages flow.
 */
export interface FrameHeader {
  type: FrameType;
  block: number;
  bodyBytes: number;
  firstPage: number;
  pageCount: number;
  /** Of the body; of a checked frame alone. */
  checksum?: number;
}

/** The shape both sides negotiated: what a run of pages may name. */
export interface FrameLimits {
  readonly pageBytes: number;
  /** Pages of each block, by block index; empty before `start`, when no page frame is legal. */
  readonly blockPages: readonly number[];
  /** Every frame is a checked one, from here on; default none is. */
  readonly checked?: boolean;
}

export function newFrameHeader(): FrameHeader {
  return { type: FrameType.HEARTBEAT, block: 0, bodyBytes: 0, firstPage: 0, pageCount: 0 };
}

/** Writes the 24 bytes at `offset`; the caller has checked the run, so a misfit is our own mistake. */
export function encodeFrameHeader(
  into: DataView,
  offset: number,
  type: FrameType,
  block: number,
  firstPage: number,
  pageCount: number,
  bodyBytes: number,
): void {
  assert(bodyBytes <= bodyBytesMax[type]);
  into.setUint8(offset, type);
  into.setUint8(offset + 1, 0);
  into.setUint16(offset + 2, block, true);
  into.setUint32(offset + 4, bodyBytes, true);
  into.setUint32(offset + 8, firstPage >>> 0, true);
  into.setUint32(offset + 12, Math.floor(firstPage / 2 ** 32), true);
  into.setUint32(offset + 16, pageCount, true);
  into.setUint32(offset + 20, 0, true);
}

/**
 * The peer is not trusted: what the header says is checked here against the limits, once for all
 * callers, a REQUEST's and a RESEND's run excepted (an impossible one is the caller's to count and ignore).
 *
 * @throws {ChannelError} `ERR_PROTOCOL`, naming the offence; `ERR_CHECKSUM`: it is not as it was sent.
 */
export function decodeFrameHeader(
  from: DataView,
  offset: number,
  header: FrameHeader,
  limits: FrameLimits,
): void {
  const isChecked = limits.checked === true;
  if (isChecked && !isHeaderIntact(from, offset)) {
    throw new ChannelError('ERR_CHECKSUM', 'the header of a frame was damaged on its way');
  }
  const type = from.getUint8(offset) as FrameType;
  const bodyMax = bodyBytesMax[type];
  if (bodyMax === undefined) throw refuse(`unknown frame type 0x${type.toString(16)}`);
  const flags = from.getUint8(offset + 1);
  if (flags !== (isChecked ? CHECKED_FLAG : 0)) {
    throw refuse(`frame flags 0x${flags.toString(16)} are not spoken here`);
  }
  header.type = type;
  header.block = from.getUint16(offset + 2, true);
  header.bodyBytes = from.getUint32(offset + 4, true);
  const high = isChecked ? from.getUint16(offset + 12, true) : from.getUint32(offset + 12, true);
  header.firstPage = from.getUint32(offset + 8, true) + high * 2 ** 32;
  header.pageCount = from.getUint32(offset + 16, true);
  if (isChecked) readChecksum(from, offset, header);
  if (header.bodyBytes > bodyMax) {
    throw refuse(
      `a body of ${header.bodyBytes} bytes; type 0x${type.toString(16)} has at most ${bodyMax}`,
    );
  }
  checkRun(header, limits);
}

/** Of no body it is 0; there the checksum itself is what was damaged. */
function readChecksum(from: DataView, offset: number, header: FrameHeader): void {
  header.checksum = from.getUint32(offset + 20, true);
  if (header.bodyBytes > 0 || header.checksum === 0) return;
  throw new ChannelError('ERR_CHECKSUM', 'the checksum of a frame was damaged on its way');
}

/** Is the run inside its block? The question a REQUEST or a RESEND is asked on its own. */
export function isRunInside(header: FrameHeader, limits: FrameLimits): boolean {
  const pages = limits.blockPages[header.block] ?? -1;
  return header.pageCount > 0 && header.firstPage + header.pageCount <= pages;
}

function checkRun(header: FrameHeader, limits: FrameLimits): void {
  switch (header.type) {
    case FrameType.PAGES:
      if (header.bodyBytes !== header.pageCount * limits.pageBytes) {
        throw refuse(`${header.pageCount} pages in a body of ${header.bodyBytes} bytes`);
      }
      if (limits.checked === true && header.bodyBytes > CHECKED_PAGES_BYTES_MAX) {
        throw refuse(`${header.bodyBytes} bytes of pages in one checked frame`);
      }
      return checkInside(header, limits);
    case FrameType.ZLIB_PAGES:
      checkCompressed(header, limits);
      return checkInside(header, limits);
    case FrameType.ZERO:
      return checkInside(header, limits);
    case FrameType.DISCARD:
    case FrameType.RECV_BITMAP:
      if (header.bodyBytes !== Math.ceil(header.pageCount / 8) || header.firstPage % 32 !== 0) {
        throw refuse(`a bitmap of ${header.bodyBytes} bytes for ${describe(header)}`);
      }
      return checkInside(header, limits);
    case FrameType.CONTROL:
    case FrameType.DEVICE:
    case FrameType.REQUEST:
    case FrameType.RESEND:
    case FrameType.HEARTBEAT:
      return;
  }
}

/** Whoever compresses gains by it, and what comes out of it has a limit. */
function checkCompressed(header: FrameHeader, limits: FrameLimits): void {
  const bytes = header.pageCount * limits.pageBytes;
  if (bytes > ZLIB_PAGES_BYTES_MAX) {
    throw refuse(`${bytes} bytes of pages compressed; a frame has at most ${ZLIB_PAGES_BYTES_MAX}`);
  }
  if (header.bodyBytes === 0 || header.bodyBytes >= bytes) {
    throw refuse(`${bytes} bytes of pages compressed to ${header.bodyBytes}`);
  }
}

function checkInside(header: FrameHeader, limits: FrameLimits): void {
  if (!isRunInside(header, limits)) throw refuse(`pages outside their block: ${describe(header)}`);
}

function describe(header: FrameHeader): string {
  return `block ${header.block}, page ${header.firstPage}, count ${header.pageCount}`;
}

function refuse(message: string): ChannelError {
  return new ChannelError('ERR_PROTOCOL', message);
}
