import { copyMemory, NativeBuffer } from '@godwit/posix';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ChannelError } from '../src/errors.ts';
import {
  encodeFrameHeader,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  type FrameLimits,
  FrameType,
} from '../src/framing/frame.ts';
import { type ByteSource, FrameReader } from '../src/framing/frame-reader.ts';
import { buffer } from './resources.ts';

/** Small pages, so that sequences of many frames are short. */
const limits: FrameLimits = { pageBytes: 64, blockPages: [1024] };

interface Frame {
  readonly header: FrameHeader;
  readonly body: Uint8Array;
}

/** How the body of a frame is taken; every way must give the same bytes. */
type Taking = 'readBody' | 'readInto' | 'stage' | 'stageBody' | 'skip';

const takings: readonly Taking[] = ['readBody', 'readInto', 'stage', 'stageBody', 'skip'];

const frame: fc.Arbitrary<Frame> = fc.oneof(
  fc
    .tuple(fc.nat(1000), fc.integer({ min: 1, max: 8 }), fc.nat(255))
    .map(([firstPage, pageCount, seed]) => {
      const bodyBytes = pageCount * limits.pageBytes;
      const header = { type: FrameType.PAGES, block: 0, bodyBytes, firstPage, pageCount };
      return { header, body: Uint8Array.from({ length: bodyBytes }, (_byte, at) => seed + at) };
    }),
  fc
    .tuple(fc.constantFrom(FrameType.ZERO, FrameType.REQUEST), fc.nat(1000))
    .map(([type, firstPage]) => ({
      header: { type, block: 0, bodyBytes: 0, firstPage, pageCount: 1 },
      body: new Uint8Array(0),
    })),
  fc
    .tuple(
      fc.constantFrom(FrameType.CONTROL, FrameType.DEVICE),
      fc.uint8Array({ maxLength: 300, size: 'max' }),
    )
    .map(([type, body]) => ({
      header: { type, block: 0, bodyBytes: body.byteLength, firstPage: 0, pageCount: 0 },
      body,
    })),
);

const frames = fc.array(frame, { maxLength: 12 });
const chunkBytes = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 8 });
/** Room for a header and for a page; what is read ahead is less, the same or one byte. */
const STAGING_BYTES_MIN = limits.pageBytes;
const staging = fc
  .integer({ min: STAGING_BYTES_MIN, max: 600 })
  .chain((bytes) => fc.tuple(fc.constant(bytes), fc.integer({ min: 1, max: bytes })));

function streamOf(sequence: readonly Frame[]): Uint8Array {
  const parts = sequence.flatMap(({ header, body }) => {
    const bytes = new Uint8Array(FRAME_HEADER_BYTES);
    const { type, block, firstPage, pageCount, bodyBytes } = header;
    const view = new DataView(bytes.buffer);
    encodeFrameHeader(view, 0, type, block, firstPage, pageCount, bodyBytes);
    return [bytes, body];
  });
  return Uint8Array.from(Buffer.concat(parts));
}

/** Holds the stream of one source at a time. */
const streamMemory = new NativeBuffer(65_536);

/** Delivers the stream in pieces of the given sizes, over and over; never more than is asked for. */
function sourceOf(stream: Uint8Array, chunks: readonly number[]): ByteSource {
  streamMemory.bytes.set(stream);
  let done = 0;
  let calls = 0;
  return (address, byteLength) => {
    expect(byteLength).toBeGreaterThan(0);
    const chunk = chunks[calls % chunks.length] ?? 1;
    calls += 1;
    const bytes = Math.min(chunk, byteLength, stream.byteLength - done);
    copyMemory(address, streamMemory.address + done, bytes);
    done += bytes;
    return bytes;
  };
}

const target = new NativeBuffer(4096);

function take(reader: FrameReader, taking: Taking): Uint8Array | undefined {
  const { bodyBytesLeft } = reader;
  target.bytes.fill(0xee);
  switch (taking) {
    case 'readBody':
      return reader.readBody();
    case 'skip':
      reader.skipBody();
      return undefined;
    case 'readInto':
      reader.readInto(target.address);
      break;
    case 'stageBody':
      if (bodyBytesLeft > STAGING_BYTES_MIN) return reader.readBody(); // it must fit
      target.bytes.set(reader.stageBody());
      reader.consume(bodyBytesLeft);
      break;
    case 'stage':
      for (let at = 0; at < bodyBytesLeft;) {
        const whole = Math.min(limits.pageBytes, reader.bodyBytesLeft);
        const address = reader.stage(whole);
        expect(reader.stagedBytes).toBeGreaterThanOrEqual(whole);
        copyMemory(target.address + at, address, whole);
        reader.consume(whole);
        at += whole;
      }
      break;
  }
  expect(target.bytes[bodyBytesLeft]).toBe(0xee);
  return target.bytes.slice(0, bodyBytesLeft);
}

function expectFrame(reader: FrameReader, expected: Frame, taking: Taking): void {
  expect(reader.next(limits)).toBe(true);
  expect(reader.header).toEqual(expected.header);
  expect(reader.bodyBytesLeft).toBe(expected.body.byteLength);
  const body = take(reader, taking);
  if (taking !== 'skip') expect(body).toEqual(expected.body);
  expect(reader.bodyBytesLeft).toBe(0);
}

test('frames come out as they went in, however the stream is cut and the body is taken', () => {
  fc.assert(
    fc.property(
      frames,
      chunkBytes,
      staging,
      fc.array(fc.constantFrom(...takings), { minLength: 1, maxLength: 5 }),
      (sequence, chunks, [stagingBytes, readAheadBytes], ways) => {
        const source = sourceOf(streamOf(sequence), chunks);
        const reader = new FrameReader(source, stagingBytes, readAheadBytes);
        for (const [index, expected] of sequence.entries()) {
          expectFrame(reader, expected, ways[index % ways.length] ?? 'readBody');
        }
        expect(reader.next(limits)).toBe(false);
        expect(reader.next(limits)).toBe(false);
      },
    ),
    { numRuns: 500 },
  );
});

test('a stream that ends between two frames is over, one that ends within a frame is broken', () => {
  fc.assert(
    fc.property(frames, chunkBytes, staging, fc.constantFrom(...takings), fc.nat(), (...given) => {
      const [sequence, chunks, [stagingBytes, readAheadBytes], taking, random] = given;
      const stream = streamOf(sequence);
      const end = random % (stream.byteLength + 1);
      const source = sourceOf(stream.subarray(0, end), chunks);
      const reader = new FrameReader(source, stagingBytes, readAheadBytes);
      let start = 0;
      for (const expected of sequence) {
        const frameBytes = FRAME_HEADER_BYTES + expected.body.byteLength;
        if (start + frameBytes > end) break;
        expectFrame(reader, expected, taking);
        start += frameBytes;
      }
      if (start === end) {
        expect(reader.next(limits)).toBe(false);
        return;
      }
      expect(() => {
        reader.next(limits);
        take(reader, taking);
      }).toThrow(expect.objectContaining({ name: 'ChannelError', code: 'ERR_CLOSED' }));
    }),
    { numRuns: 500 },
  );
});

test('pages are read past the staging, straight to where they belong', () => {
  const body = new Uint8Array(limits.pageBytes * 16).fill(7);
  const header = { type: FrameType.PAGES, block: 0, bodyBytes: 1024, firstPage: 0, pageCount: 16 };
  const deliver = sourceOf(streamOf([{ header, body }]), [4096]);
  const asked: [address: number, byteLength: number][] = [];
  const source: ByteSource = (address, byteLength) => {
    asked.push([address, byteLength]);
    return deliver(address, byteLength);
  };
  const memory = buffer(1024);
  const reader = new FrameReader(source, 4096, FRAME_HEADER_BYTES);
  reader.next(limits);
  reader.readInto(memory.address);
  expect(asked.slice(1)).toEqual([[memory.address, 1024]]);
  expect(memory.bytes).toEqual(body);
});

test('what a broken source throws reaches the caller', () => {
  const broken = new ChannelError('ERR_CLOSED', 'the link broke');
  const reader = new FrameReader(() => {
    throw broken;
  }, 64);
  expect(() => reader.next(limits)).toThrow(broken);
});

test('a header that breaks the rules is refused before its body is read', () => {
  const stream = new Uint8Array(FRAME_HEADER_BYTES).fill(0xff);
  const reader = new FrameReader(sourceOf(stream, [100]), 64);
  expect(() => reader.next(limits)).toThrow(expect.objectContaining({ code: 'ERR_PROTOCOL' }));
});

test('after a reset nothing of the old stream is left', () => {
  const header = { type: FrameType.CONTROL, block: 0, bodyBytes: 3, firstPage: 0, pageCount: 0 };
  const old = streamOf([{ header, body: Uint8Array.of(1, 2, 3) }]).subarray(0, 25);
  const fresh: Frame = { header: { ...header, bodyBytes: 1 }, body: Uint8Array.of(9) };
  let source = sourceOf(old, [100]);
  const reader = new FrameReader((address, byteLength) => source(address, byteLength), 64);
  reader.next(limits);
  expect(() => reader.readBody()).toThrow(ChannelError);
  reader.reset();
  source = sourceOf(streamOf([fresh]), [100]);
  expectFrame(reader, fresh, 'readBody');
});
