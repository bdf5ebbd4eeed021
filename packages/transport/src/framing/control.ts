import { decode, encode } from '@msgpack/msgpack';
import { ChannelError } from '../errors.ts';
import {
  CONTROL_BODY_BYTES_MAX,
  encodeFrameHeader,
  FRAME_HEADER_BYTES,
  FrameType,
} from './frame.ts';

/** What is received: a count and the SHA-256 of the bitmaps (docs/PROTOCOL.md, section 4). */
export interface ReceivedProof {
  readonly pages: number;
  readonly digest: Uint8Array;
}

/** With `x-ram-digest`, also what RAM holds: a digest for each block. */
export interface RamProof extends ReceivedProof {
  readonly ram?: readonly Uint8Array[];
}

/** How far the destination got, as it tells a source that comes back. */
export type DestinationPhase = 'loaded' | 'running' | 'complete';

/** Everything that is said in control frames; docs/PROTOCOL.md, section 4, says what each means. */
export type ControlMessage =
  | {
      readonly t: 'start';
      readonly page: number;
      readonly blocks: readonly (readonly [id: string, byteLength: number])[];
      readonly caps: readonly string[];
      readonly uuid: string | null;
      /** Of page channels; only with the capability `multifd`. */
      readonly channels?: number;
      /** How page channels may compress: 'zlib'; left out, they do not. Only with page channels. */
      readonly compression?: string;
      /** Milliseconds between the HEARTBEATs that both sides send; left out, none are sent. */
      readonly heartbeat?: number;
    }
  | { readonly t: 'started' }
  | { readonly t: 'refused'; readonly why: string }
  | { readonly t: 'pass'; readonly n: number }
  | { readonly t: 'sync'; readonly n: number }
  | { readonly t: 'flush' }
  | { readonly t: 'flushed' }
  | { readonly t: 'switchover-ack' }
  | { readonly t: 'listen' }
  | ({ readonly t: 'loaded' } & RamProof)
  | { readonly t: 'run'; readonly paused: boolean }
  | { readonly t: 'running' }
  | { readonly t: 'end' }
  | ({ readonly t: 'complete' } & RamProof)
  | { readonly t: 'finished' }
  | { readonly t: 'abandon'; readonly why: string }
  | { readonly t: 'failed'; readonly why: string }
  | { readonly t: 'recover' }
  | ({ readonly t: 'recovering'; readonly phase: DestinationPhase } & RamProof)
  | { readonly t: 'resume' }
  | { readonly t: 'resumed' };

export type ControlType = ControlMessage['t'];

type Check = (value: unknown) => boolean;

export const BLOCKS_MAX = 256;
const BLOCK_ID_BYTES_MAX = 255;
const CAPABILITIES_MAX = 64;
const TEXT_MAX = 4096;
const DIGEST_BYTES = 32;

const isText: Check = (value) => typeof value === 'string' && value.length <= TEXT_MAX;
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const isDigest: Check = (value) => value instanceof Uint8Array && value.byteLength === DIGEST_BYTES;
const isBoolean: Check = (value) => typeof value === 'boolean';
const isBlock: Check = (value) =>
  Array.isArray(value) &&
  value.length === 2 &&
  typeof value[0] === 'string' &&
  value[0] !== '' &&
  Buffer.byteLength(value[0]) <= BLOCK_ID_BYTES_MAX &&
  isCount(value[1]) &&
  value[1] > 0;

const isDigestList: Check = (value) =>
  Array.isArray(value) && value.length <= BLOCKS_MAX && value.every(isDigest);

const ramProof = {
  pages: isCount,
  digest: isDigest,
  ram: (value: unknown) => value === undefined || isDigestList(value),
};

/** The keys of each message beside `t` and what each may hold; one that may be absent takes undefined. */
const shapes: Readonly<Record<ControlType, Readonly<Record<string, Check>>>> = {
  start: {
    page: isCount,
    blocks: (value) =>
      Array.isArray(value) &&
      value.length > 0 &&
      value.length <= BLOCKS_MAX &&
      value.every(isBlock),
    caps: (value) =>
      Array.isArray(value) && value.length <= CAPABILITIES_MAX && value.every(isText),
    uuid: (value) => value === null || isText(value),
    channels: (value) => value === undefined || isCount(value),
    compression: (value) => value === undefined || isText(value),
    heartbeat: (value) => value === undefined || isCount(value),
  },
  started: {},
  refused: { why: isText },
  pass: { n: isCount },
  sync: { n: isCount },
  flush: {},
  flushed: {},
  'switchover-ack': {},
  listen: {},
  loaded: ramProof,
  run: { paused: isBoolean },
  running: {},
  end: {},
  complete: ramProof,
  finished: {},
  abandon: { why: isText },
  failed: { why: isText },
  recover: {},
  recovering: {
    phase: (value) => value === 'loaded' || value === 'running' || value === 'complete',
    ...ramProof,
  },
  resume: {},
  resumed: {},
};

/** Every message there is. */
export const controlTypes: readonly ControlType[] = Object.keys(shapes) as ControlType[];

/** A whole CONTROL frame, header included; a reason too long for the other side is cut. */
export function encodeControl(message: ControlMessage): Uint8Array {
  const isLong = 'why' in message && message.why.length > TEXT_MAX;
  const body = encode(isLong ? { ...message, why: message.why.slice(0, TEXT_MAX) } : message);
  return frameAround(FrameType.CONTROL, body);
}

/** A whole DEVICE frame, header included. */
export function encodeDevice(state: Uint8Array): Uint8Array {
  return frameAround(FrameType.DEVICE, state);
}

/**
 * @param body of a CONTROL frame, at most `CONTROL_BODY_BYTES_MAX` bytes.
 * @throws {ChannelError} `ERR_PROTOCOL`: not msgpack, not a known message, a key missing, unknown or
 *   out of range. What a body of that size can make of memory ends at 64 MiB: empty arrays within
 *   each other, each as long as it may claim to be.
 */
export function decodeControl(body: Uint8Array): ControlMessage {
  const message = decodeMap(body);
  const type = message['t'];
  const shape =
    typeof type === 'string' && Object.hasOwn(shapes, type)
      ? shapes[type as ControlType]
      : undefined;
  if (shape === undefined) {
    // Only a string is quoted: to print an array means to walk it, however deep the peer made it.
    const named = typeof type === 'string' ? `'${type.slice(0, 40)}'` : `of type ${typeof type}`;
    throw refuse(`unknown control message ${named}`);
  }
  for (const [key, check] of Object.entries(shape)) {
    if (!check(message[key])) {
      throw refuse(`'${key}' of control message '${type as string}' is wrong`);
    }
  }
  for (const key of Object.keys(message)) {
    if (key !== 't' && !Object.hasOwn(shape, key)) {
      throw refuse(`control message '${type as string}' has an unknown key '${key.slice(0, 40)}'`);
    }
  }
  return message as unknown as ControlMessage;
}

function decodeMap(body: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    const limit = CONTROL_BODY_BYTES_MAX;
    value = decode(body, {
      maxStrLength: limit,
      maxBinLength: limit,
      maxArrayLength: BLOCKS_MAX, // room for a claimed length is taken before the elements come
      maxMapLength: 16,
      maxExtLength: 0,
    });
  } catch (cause) {
    const message = `a control frame cannot be read: ${(cause as Error).message}`;
    throw new ChannelError('ERR_PROTOCOL', message, { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw refuse('a control frame is not a map');
  }
  return value as Record<string, unknown>;
}

function frameAround(type: FrameType, body: Uint8Array): Uint8Array {
  const frame = new Uint8Array(FRAME_HEADER_BYTES + body.byteLength);
  encodeFrameHeader(new DataView(frame.buffer), 0, type, 0, 0, 0, body.byteLength);
  frame.set(body, FRAME_HEADER_BYTES);
  return frame;
}

function refuse(message: string): ChannelError {
  return new ChannelError('ERR_PROTOCOL', message);
}
