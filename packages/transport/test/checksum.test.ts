import { crc32 as zlibCrc32 } from 'node:zlib';
import { copyMemory, NativeBuffer } from '@godwit/posix';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checksumOf, sealFrame } from '../src/framing/checksum.ts';
import { FrameReader } from '../src/framing/frame-reader.ts';
import {
  decodeFrameHeader,
  encodeFrameHeader,
  FRAME_HEADER_BYTES,
  type FrameLimits,
  FrameType,
  newFrameHeader,
} from '../src/framing/frame.ts';

const limits: FrameLimits = { pageBytes: 64, blockPages: [2 ** 36], checked: true };
const memory = new NativeBuffer(4096);
const damaged = expect.objectContaining({ code: 'ERR_CHECKSUM' });

/** A sealed frame of some pages, or of a control message. */
const frame: fc.Arbitrary<Uint8Array> = fc
  .tuple(fc.boolean(), fc.nat(2 ** 35), fc.integer({ min: 1, max: 4 }), fc.nat(255))
  .map(([isControl, page, count, seed]) => {
    const body = Uint8Array.from({ length: count * limits.pageBytes }, (_byte, at) => seed + at);
    const bytes = new Uint8Array(FRAME_HEADER_BYTES + body.byteLength);
    const view = new DataView(bytes.buffer);
    if (isControl) encodeFrameHeader(view, 0, FrameType.CONTROL, 0, 0, 0, body.byteLength);
    else encodeFrameHeader(view, 0, FrameType.PAGES, 0, page, count, body.byteLength);
    bytes.set(body, FRAME_HEADER_BYTES);
    sealFrame(bytes);
    return bytes;
  });

/** Reads one frame and its body. */
function readWith(bytes: Uint8Array): Uint8Array {
  let at = 0;
  memory.bytes.set(bytes);
  const reader = new FrameReader((address, byteLength) => {
    const count = Math.min(byteLength, bytes.byteLength - at);
    copyMemory(address, memory.address + at, count);
    at += count;
    return count;
  }, 4096);
  reader.next(limits);
  return reader.readBody();
}

test('the check value of CRC-32, and in two parts the same', () => {
  const bytes = Buffer.from('123456789');
  expect(checksumOf(bytes)).toBe(0xcbf43926);
  expect(checksumOf(bytes.subarray(4), checksumOf(bytes.subarray(0, 4)))).toBe(0xcbf43926);
});

test("the addon and Node's own compute the same, of any length and in any parts", () => {
  const bytes = Uint8Array.from({ length: 300_000 }, (_byte, at) => (at * 2_654_435_761) >>> 13);
  const cut = fc.nat(bytes.byteLength);
  fc.assert(
    fc.property(cut, cut, cut, (a, b, c) => {
      const [from, middle, to] = [a, b, c].toSorted((x, y) => x - y) as [number, number, number];
      const parts = checksumOf(
        bytes.subarray(middle, to),
        checksumOf(bytes.subarray(from, middle)),
      );
      expect(parts).toBe(zlibCrc32(bytes.subarray(from, to)));
    }),
  );
});

describe('of a checked frame', () => {
  test('any bit that is turned over is noticed', () => {
    fc.assert(
      fc.property(frame, fc.nat(), fc.nat(7), (bytes, where, bit) => {
        const altered = Uint8Array.from(bytes);
        altered[where % bytes.byteLength]! ^= 1 << bit;
        expect(() => readWith(altered)).toThrow(damaged);
      }),
    );
  });

  test('any three bits of the header, and any sixteen side by side in a field, are noticed', () => {
    const header = newFrameHeader();
    const bitOfHeader = fc.nat(FRAME_HEADER_BYTES * 8 - 33); // those of the checksum belong to the body
    fc.assert(
      fc.property(
        frame,
        fc.uniqueArray(bitOfHeader, { minLength: 1, maxLength: 3 }),
        (it, bits) => {
          const altered = Uint8Array.from(it);
          for (const bit of bits) altered[bit >>> 3]! ^= 1 << (bit & 7);
          const view = new DataView(altered.buffer);
          expect(() => decodeFrameHeader(view, 0, header, limits)).toThrow(damaged);
        },
      ),
    );
    fc.assert(
      fc.property(
        frame,
        fc.constantFrom(0, 2, 4, 6, 8, 10, 12, 14, 16, 18),
        fc.integer({ min: 1, max: 0xffff }),
        (it, at, burst) => {
          const altered = Uint8Array.from(it);
          const view = new DataView(altered.buffer);
          view.setUint16(at, view.getUint16(at) ^ burst);
          expect(() => decodeFrameHeader(view, 0, header, limits)).toThrow(damaged);
        },
      ),
    );
  });

  test('one that is intact is read as it was written', () => {
    fc.assert(
      fc.property(frame, (bytes) => {
        expect(readWith(bytes)).toEqual(bytes.slice(FRAME_HEADER_BYTES));
      }),
    );
  });

  test('a checksum of no body is noticed', () => {
    const bytes = new Uint8Array(FRAME_HEADER_BYTES);
    encodeFrameHeader(new DataView(bytes.buffer), 0, FrameType.ZERO, 0, 1, 1, 0);
    sealFrame(bytes);
    expect(readWith(bytes)).toEqual(new Uint8Array(0));
    bytes[21] = 1;
    expect(() => readWith(bytes)).toThrow(damaged);
  });
});

test('where checks are agreed on, a frame without one is refused, and the other way round', () => {
  const bytes = new Uint8Array(FRAME_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  encodeFrameHeader(view, 0, FrameType.ZERO, 0, 1, 1, 0);
  const header = newFrameHeader();
  expect(() => decodeFrameHeader(view, 0, header, limits)).toThrow(damaged);
  sealFrame(bytes);
  expect(() => decodeFrameHeader(view, 0, header, { ...limits, checked: false })).toThrow(
    expect.objectContaining({ code: 'ERR_PROTOCOL' }),
  );
});

test('a checked frame has at most one mebibyte of pages', () => {
  const bytes = new Uint8Array(FRAME_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  const count = (1024 * 1024) / limits.pageBytes + 1;
  encodeFrameHeader(view, 0, FrameType.PAGES, 0, 0, count, count * limits.pageBytes);
  sealFrame(bytes);
  expect(() => decodeFrameHeader(view, 0, newFrameHeader(), limits)).toThrow(
    expect.objectContaining({ code: 'ERR_PROTOCOL' }),
  );
});
