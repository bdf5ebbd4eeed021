import { encode } from '@msgpack/msgpack';
import { Random } from '@godwit/chaos';
import { FRAME_HEADER_BYTES, FrameType } from '@godwit/transport';
import type { Corpus } from './corpus.ts';
import { controlOf } from './wire-cutter.ts';

/** What becomes of one frame. */
export interface Tampered {
  readonly write: readonly Buffer[];
  /** Comes after the next frame of its direction. */
  readonly hold?: Buffer;
  /** The link ends behind it. */
  readonly cut?: boolean;
}

type Kind = (frame: Buffer, random: Random, corpus: Corpus) => Tampered;

const types = Object.values(FrameType);
const lengths = [
  0, 1, 7, 4095, 4096, 65_536, 65_537, 1_048_576, 4_194_304, 67_108_864, 67_108_865, 0xffff_ffff,
];
const counts = [0, 1, 31, 32, 33, 69, 70, 71, 8193, 0x7fff_ffff, 0xffff_ffff];
const pages = [
  0,
  1,
  31,
  32,
  64,
  69,
  70,
  71,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 53 - 1,
  2 ** 53,
  2 ** 63,
];
const blocks = [0, 1, 2, 3, 255, 256, 65_535];
const oddities: readonly unknown[] = [
  -1,
  0,
  1,
  2 ** 31,
  2 ** 32,
  2 ** 53 - 1,
  2 ** 53,
  1e308,
  Number.NaN,
  0.5,
  null,
  true,
  '',
  'x'.repeat(5000),
  [],
  {},
  new Uint8Array(0),
  new Uint8Array(32),
  new Uint8Array(33),
  [[['deep']]],
  Array.from({ length: 300 }, (_, i) => i),
  [['ram0', -4096]],
  [['ram0', 2 ** 53]],
  ['multifd', 'multifd', 'xbzrle'],
];

const write = (...frames: Buffer[]): Tampered => ({ write: frames });

/** Everything that a hostile peer does to a frame; each draws the rest from the random numbers it is given. */
export const tamperKinds = {
  'flip a bit of the header': (frame, random) =>
    write(flipped(frame, random, 0, FRAME_HEADER_BYTES)),
  'flip a bit of the body': (frame, random) =>
    write(flipped(frame, random, FRAME_HEADER_BYTES, frame.byteLength)),
  'another type': (frame, random) => {
    const type = random.chance(0.8) ? random.pick(types) : random.between(0, 256);
    return write(changed(frame, (copy) => copy.writeUInt8(type, 0)));
  },
  'other flags': (frame, random) =>
    write(changed(frame, (copy) => copy.writeUInt8(random.between(0, 256), 1))),
  'another block': (frame, random) =>
    write(changed(frame, (copy) => copy.writeUInt16LE(random.pick(blocks), 2))),
  'another length': (frame, random) =>
    write(changed(frame, (copy) => copy.writeUInt32LE(random.pick(lengths), 4))),
  'another first page': (frame, random) =>
    write(changed(frame, (copy) => copy.writeBigUInt64LE(BigInt(random.pick(pages)), 8))),
  'another count': (frame, random) =>
    write(changed(frame, (copy) => copy.writeUInt32LE(random.pick(counts), 16))),
  'another checksum': (frame, random) =>
    write(changed(frame, (copy) => copy.writeUInt32LE(random.between(0, 2 ** 32), 20))),
  'a shorter body, and so its length': (frame, random) =>
    write(
      withBody(
        frame,
        frame.subarray(
          FRAME_HEADER_BYTES,
          random.between(FRAME_HEADER_BYTES, frame.byteLength + 1),
        ),
      ),
    ),
  'a longer body, and so its length': (frame, random) =>
    write(
      withBody(
        frame,
        Buffer.concat([frame.subarray(FRAME_HEADER_BYTES), random.bytes(random.between(1, 40))]),
      ),
    ),
  'a random body': (frame, random) =>
    write(withBody(frame, random.bytes(frame.byteLength - FRAME_HEADER_BYTES))),
  'a body of zeros': (frame) =>
    write(withBody(frame, Buffer.alloc(frame.byteLength - FRAME_HEADER_BYTES))),
  'a body of ones': (frame) =>
    write(withBody(frame, Buffer.alloc(frame.byteLength - FRAME_HEADER_BYTES, 0xff))),
  drop: () => write(),
  twice: (frame) => write(frame, frame),
  'after the next': (frame) => ({ write: [], hold: frame }),
  'cut within': (frame, random) => ({
    write: [frame.subarray(0, random.between(0, frame.byteLength))],
    cut: true,
  }),
  'cut behind': (frame) => ({ write: [frame], cut: true }),
  'garbage in front': (frame, random) =>
    write(Buffer.from(random.bytes(random.between(1, 64))), frame),
  'a frame of another session in front': (frame, random, corpus) =>
    write(corpus.frame(random.between(0, 2 ** 32)) ?? frame, frame),
  'a frame of another session instead': (frame, random, corpus) =>
    write(corpus.frame(random.between(0, 2 ** 32)) ?? frame),
  'a made-up frame in front': (frame, random) => write(madeUp(random), frame),
  'a key left out': (frame, random) => write(withControl(frame, random, leaveOut)),
  'a key too many': (frame, random) =>
    write(withControl(frame, random, (message) => ({ ...message, extra: random.pick(oddities) }))),
  'an odd value': (frame, random) => write(withControl(frame, random, makeOdd)),
  'a bomb': (frame, random) => write(bomb(random), frame),
  'over and over': (frame, random) => {
    const times = Math.min(random.pick([20, 300, 3000]), Math.ceil(4_194_304 / frame.byteLength));
    return write(...Array.from({ length: times }, () => frame));
  },
} as const satisfies Record<string, Kind>;
export type TamperKind = keyof typeof tamperKinds;

/** @param numbers what is random about it. */
export function tamper(
  kind: TamperKind,
  frame: Buffer,
  numbers: { a: number; b: number },
  corpus: Corpus,
): Tampered {
  const run: Kind = tamperKinds[kind];
  const from = numbers.a ^ Math.imul(numbers.b, 0x9e37_79b1);
  return run(frame, new Random('tamper', from), corpus);
}

function changed(frame: Buffer, change: (copy: Buffer) => void): Buffer {
  const copy = Buffer.from(frame);
  change(copy);
  return copy;
}

function flipped(frame: Buffer, random: Random, from: number, below: number): Buffer {
  if (from >= below) return frame;
  const at = random.between(from, below);
  return changed(frame, (copy) =>
    copy.writeUInt8(copy.readUInt8(at) ^ (1 << random.between(0, 8)), at),
  );
}

function withBody(frame: Buffer, body: Uint8Array): Buffer {
  const copy = Buffer.concat([frame.subarray(0, FRAME_HEADER_BYTES), body]);
  copy.writeUInt32LE(body.byteLength, 4);
  return copy;
}

type Control = Record<string, unknown>;

function withControl(
  frame: Buffer,
  random: Random,
  change: (message: Control, random: Random) => Control,
): Buffer {
  const message = controlOf(frame);
  return message === undefined
    ? flipped(frame, random, 0, frame.byteLength)
    : withBody(frame, encode(change(message, random)));
}

function leaveOut(message: Control, random: Random): Control {
  const key = random.pick(Object.keys(message));
  return Object.fromEntries(Object.entries(message).filter(([name]) => name !== key));
}

function makeOdd(message: Control, random: Random): Control {
  return { ...message, [random.pick(Object.keys(message))]: random.pick(oddities) };
}

/** A header that looks right more often than not, with a body of the length it claims. */
function madeUp(random: Random): Buffer {
  const count = random.pick(counts.filter((value) => value <= 71));
  const body = random.pick([0, 4096 * count, Math.ceil(count / 8), random.between(0, 200)]);
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + body, random.chance(0.5) ? 0xff : 0);
  frame.writeUInt8(random.pick(types), 0);
  frame.writeUInt8(0, 1);
  frame.writeUInt16LE(random.pick(blocks), 2);
  frame.writeUInt32LE(body, 4);
  frame.writeBigUInt64LE(BigInt(random.pick(pages.filter((page) => page <= 71))), 8);
  frame.writeUInt32LE(count, 16);
  frame.writeUInt32LE(0, 20);
  return frame;
}

/** Few bytes that claim to be much: msgpack of arrays in arrays, of a long string, of a wide map. */
function bomb(random: Random): Buffer {
  const body = random.pick([
    () => Buffer.alloc(65_536, 0x91),
    () => Buffer.alloc(65_535, Buffer.from([0xdc, 0x01, 0x00])),
    () => Buffer.from([0x81, 0xa1, 0x74, 0xdb, 0xff, 0xff, 0xff, 0xff]),
    () => Buffer.from([0xdf, 0xff, 0xff, 0xff, 0xff]),
    () => Buffer.from([0x81, 0xa1, 0x74, 0xdd, 0xff, 0xff, 0xff, 0xff]),
    () => Buffer.from([0x81, 0xa1, 0x74, 0xc6, 0xff, 0xff, 0xff, 0xff]),
    () => Buffer.from(encode({ t: 'start', ['__proto__x']: { toString: 1 } })),
  ])();
  const frame = Buffer.alloc(FRAME_HEADER_BYTES);
  frame.writeUInt8(FrameType.CONTROL, 0);
  return withBody(frame, body);
}
