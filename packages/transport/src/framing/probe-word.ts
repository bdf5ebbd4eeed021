import assert from 'node:assert/strict';
import { ChannelError } from '../errors.ts';

/**
 * What a probe of the link says instead of frames; little-endian.
 *
 *     0      1        2      4            8       16       24
 *     | word | manner | zero | dataBytes  | bytes | micros | data …
 *     | u8   | u8     | u16  | u32        | u64   | u64    |
 */
export type ProbeWord =
  /** Comes back as it is. */
  | { readonly type: 'echo' }
  /** So many bytes follow. */
  | { readonly type: 'data'; readonly manner: ProbeManner; readonly dataBytes: number }
  | { readonly type: 'end' }
  /** What has come since the last report, and how long that took. */
  | {
      readonly type: 'report';
      readonly manner: ProbeManner;
      readonly bytes: number;
      readonly micros: number;
    };

/** How data is taken: as pages are in precopy, or in postcopy. */
export type ProbeManner = 'read' | 'place';

export const PROBE_WORD_BYTES = 24;
export const PROBE_DATA_BYTES_MAX = 1024 * 1024;
/** Of one probe; what the fastest link carries in the time that one has. */
export const PROBE_BYTES_MAX = 16 * 1024 ** 3;
/** An hour and more: of any probe. */
const PROBE_MICROS_MAX = 2n ** 32n;
/** Data is whole pages, or it could not be placed. */
const PROBE_DATA_UNIT_BYTES = 4096;

const words = ['echo', 'data', 'end', 'report'] as const satisfies readonly ProbeWord['type'][];
const manners = ['read', 'place'] as const satisfies readonly ProbeManner[];

/** @param target of PROBE_WORD_BYTES; written in full. */
export function encodeProbeWord(word: ProbeWord, target: Uint8Array): void {
  assert.equal(target.byteLength, PROBE_WORD_BYTES);
  const view = viewOf(target);
  target.fill(0);
  view.setUint8(0, words.indexOf(word.type) + 1);
  if ('manner' in word) view.setUint8(1, manners.indexOf(word.manner));
  if (word.type === 'data') view.setUint32(4, word.dataBytes, true);
  if (word.type !== 'report') return;
  view.setBigUint64(8, BigInt(word.bytes), true);
  view.setBigUint64(16, BigInt(Math.round(word.micros)), true);
}

/** @throws {ChannelError} `ERR_PROTOCOL`: no such word, or one that claims the impossible. */
export function decodeProbeWord(bytes: Uint8Array): ProbeWord {
  assert.equal(bytes.byteLength, PROBE_WORD_BYTES);
  const view = viewOf(bytes);
  const isClean = view.getUint16(2, true) === 0;
  const type = isClean ? words[view.getUint8(0) - 1] : undefined;
  const manner = manners[view.getUint8(1)];
  const dataBytes = view.getUint32(4, true);
  const [came, micros] = [view.getBigUint64(8, true), view.getBigUint64(16, true)];
  const isPlain = dataBytes === 0 && came === 0n && micros === 0n;
  switch (type) {
    case 'echo':
    case 'end':
      if (isPlain && manner === 'read') return { type };
      break;
    case 'data':
      if (manner !== undefined && isDataLength(dataBytes) && came + micros === 0n) {
        return { type, manner, dataBytes };
      }
      break;
    case 'report':
      if (manner !== undefined && dataBytes === 0 && isPossible(came, micros)) {
        return { type, manner, bytes: Number(came), micros: Number(micros) };
      }
      break;
    case undefined:
      break;
  }
  const hex = Buffer.from(bytes).toString('hex');
  throw new ChannelError('ERR_PROTOCOL', `no word of a probe: ${hex}`);
}

function isDataLength(byteLength: number): boolean {
  const isWhole = byteLength % PROBE_DATA_UNIT_BYTES === 0;
  return byteLength > 0 && byteLength <= PROBE_DATA_BYTES_MAX && isWhole;
}

function isPossible(bytes: bigint, micros: bigint): boolean {
  return bytes <= BigInt(PROBE_BYTES_MAX) && micros <= PROBE_MICROS_MAX;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
