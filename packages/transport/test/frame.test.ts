import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ChannelError } from '../src/errors.ts';
import {
  BITMAP_BODY_BYTES_MAX,
  CONTROL_BODY_BYTES_MAX,
  decodeFrameHeader,
  DEVICE_BODY_BYTES_MAX,
  encodeFrameHeader,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  type FrameLimits,
  FrameType,
  isRunInside,
  newFrameHeader,
  PAGES_BODY_BYTES_MAX,
  ZLIB_PAGES_BYTES_MAX,
} from '../src/framing/frame.ts';

const limits: FrameLimits = { pageBytes: 4096, blockPages: [64, 1, 2 ** 35] };
const pagesMax = PAGES_BODY_BYTES_MAX / limits.pageBytes;

const zlibPagesMax = ZLIB_PAGES_BYTES_MAX / limits.pageBytes;

const bodyBytesMax: Readonly<Record<FrameType, number>> = {
  [FrameType.PAGES]: PAGES_BODY_BYTES_MAX,
  [FrameType.ZERO]: 0,
  [FrameType.DISCARD]: BITMAP_BODY_BYTES_MAX,
  [FrameType.ZLIB_PAGES]: ZLIB_PAGES_BYTES_MAX - 1,
  [FrameType.CONTROL]: CONTROL_BODY_BYTES_MAX,
  [FrameType.DEVICE]: DEVICE_BODY_BYTES_MAX,
  [FrameType.REQUEST]: 0,
  [FrameType.RECV_BITMAP]: BITMAP_BODY_BYTES_MAX,
  [FrameType.RESEND]: 0,
  [FrameType.HEARTBEAT]: 0,
};

/** A header as a peer may write it, whatever the rules say. */
interface RawHeader {
  type: number;
  flags?: number;
  block?: number;
  bodyBytes?: number;
  firstPage?: bigint;
  pageCount?: number;
}

function rawHeader(raw: RawHeader): DataView {
  const view = new DataView(new ArrayBuffer(FRAME_HEADER_BYTES));
  view.setUint8(0, raw.type);
  view.setUint8(1, raw.flags ?? 0);
  view.setUint16(2, raw.block ?? 0, true);
  view.setUint32(4, raw.bodyBytes ?? 0, true);
  view.setBigUint64(8, raw.firstPage ?? 0n, true);
  view.setUint32(16, raw.pageCount ?? 0, true);
  return view;
}

function decode(view: DataView, within: FrameLimits = limits): FrameHeader {
  const header = newFrameHeader();
  decodeFrameHeader(view, 0, header, within);
  return header;
}

/** A run of pages inside its block. */
interface Run {
  readonly block: number;
  readonly firstPage: number;
  readonly pageCount: number;
}

const run: fc.Arbitrary<Run> = fc
  .integer({ min: 0, max: limits.blockPages.length - 1 })
  .chain((block) => fc.tuple(fc.constant(block), fc.nat((limits.blockPages[block] ?? 1) - 1)))
  .chain(([block, firstPage]) =>
    fc.record({
      block: fc.constant(block),
      firstPage: fc.constant(firstPage),
      pageCount: fc.integer({
        min: 1,
        max: Math.min((limits.blockPages[block] ?? 1) - firstPage, 2 ** 32 - 1),
      }),
    }),
  );

function pagesHeader({ block, firstPage, pageCount }: Run): FrameHeader {
  const count = Math.min(pageCount, pagesMax);
  const bodyBytes = count * limits.pageBytes;
  return { type: FrameType.PAGES, block, bodyBytes, firstPage, pageCount: count };
}

function zlibHeader({ block, firstPage, pageCount }: Run): FrameHeader {
  const count = Math.min(pageCount, zlibPagesMax);
  const bodyBytes = 1 + ((firstPage * 97) % (count * limits.pageBytes - 1));
  return { type: FrameType.ZLIB_PAGES, block, bodyBytes, firstPage, pageCount: count };
}

function bitmapHeader([type, { block, firstPage, pageCount }]: [FrameType, Run]): FrameHeader {
  const first = firstPage - (firstPage % 32);
  const count = Math.min(pageCount, BITMAP_BODY_BYTES_MAX * 8);
  return { type, block, bodyBytes: Math.ceil(count / 8), firstPage: first, pageCount: count };
}

function bareHeader([type, bodyBytes]: [FrameType, number]): FrameHeader {
  return { type, block: 0, bodyBytes, firstPage: 0, pageCount: 0 };
}

/** Headers that keep every rule. */
const legalHeader: fc.Arbitrary<FrameHeader> = fc.oneof(
  run.map(pagesHeader),
  run.map(zlibHeader),
  fc
    .tuple(fc.constantFrom(FrameType.ZERO, FrameType.REQUEST), run)
    .map(([type, it]) => Object.assign({ type, bodyBytes: 0 }, it)),
  fc.tuple(fc.constantFrom(FrameType.DISCARD, FrameType.RECV_BITMAP), run).map(bitmapHeader),
  fc
    .tuple(fc.constantFrom(FrameType.CONTROL, FrameType.DEVICE), fc.nat(CONTROL_BODY_BYTES_MAX))
    .map(bareHeader),
  fc.constant(bareHeader([FrameType.HEARTBEAT, 0])),
);

test('a legal header is read as it was written, wherever it lies', () => {
  fc.assert(
    fc.property(legalHeader, fc.nat(100), (header, offset) => {
      const bytes = new Uint8Array(offset + FRAME_HEADER_BYTES + 1).fill(0xaa);
      const view = new DataView(bytes.buffer);
      const { type, block, firstPage, pageCount, bodyBytes } = header;
      encodeFrameHeader(view, offset, type, block, firstPage, pageCount, bodyBytes);
      const decoded = newFrameHeader();
      decodeFrameHeader(view, offset, decoded, limits);
      expect(decoded).toEqual(header);
      bytes.fill(0xaa, offset, offset + FRAME_HEADER_BYTES);
      expect(bytes.every((byte) => byte === 0xaa)).toBe(true);
    }),
  );
});

const { PAGES, ZERO, DISCARD, ZLIB_PAGES, CONTROL, DEVICE, REQUEST, RECV_BITMAP, HEARTBEAT } =
  FrameType;

describe('a header is refused for', () => {
  test.each<[string, RawHeader]>([
    ['type 0', { type: 0 }],
    ['a type between the known ones', { type: 0x05 }],
    ['type 255', { type: 255 }],
    ['the checksum flag of another version', { type: HEARTBEAT, flags: 1 }],
    ['any other flag', { type: HEARTBEAT, flags: 0x80 }],

    ['pages without any', { type: PAGES }],
    ['a page too few in the body', { type: PAGES, bodyBytes: 4096, pageCount: 2 }],
    ['a page too many in the body', { type: PAGES, bodyBytes: 8192, pageCount: 1 }],
    ['half a page', { type: PAGES, bodyBytes: 2048, pageCount: 1 }],
    ['pages behind the block', { type: PAGES, bodyBytes: 4096, firstPage: 64n, pageCount: 1 }],
    ['pages that leave the block', { type: PAGES, bodyBytes: 8192, firstPage: 63n, pageCount: 2 }],
    ['pages of no block', { type: PAGES, block: 3, bodyBytes: 4096, pageCount: 1 }],
    ['pages of block 65535', { type: PAGES, block: 65_535, bodyBytes: 4096, pageCount: 1 }],
    [
      'more pages than a body holds',
      { type: PAGES, block: 2, bodyBytes: (pagesMax + 1) * 4096, pageCount: pagesMax + 1 },
    ],

    ['compressed pages without any', { type: ZLIB_PAGES, bodyBytes: 5 }],
    ['compressed pages without a body', { type: ZLIB_PAGES, pageCount: 1 }],
    ['compressed pages that are not shorter', { type: ZLIB_PAGES, bodyBytes: 4096, pageCount: 1 }],
    [
      'compressed pages that leave the block',
      { type: ZLIB_PAGES, bodyBytes: 9, firstPage: 63n, pageCount: 2 },
    ],
    ['compressed pages of no block', { type: ZLIB_PAGES, block: 3, bodyBytes: 9, pageCount: 1 }],
    [
      'more compressed pages than a frame has',
      { type: ZLIB_PAGES, block: 2, bodyBytes: 9, pageCount: zlibPagesMax + 1 },
    ],
    [
      'compressed pages without end',
      { type: ZLIB_PAGES, block: 2, bodyBytes: 9, pageCount: 0xffff_ffff },
    ],
    [
      'compressed pages above the limit of a body',
      { type: ZLIB_PAGES, block: 2, bodyBytes: ZLIB_PAGES_BYTES_MAX, pageCount: zlibPagesMax + 1 },
    ],

    ['no zero pages', { type: ZERO, firstPage: 3n }],
    ['a body of zeros', { type: ZERO, bodyBytes: 4096, pageCount: 1 }],
    ['zero pages outside the block', { type: ZERO, firstPage: 1n, pageCount: 64 }],
    ['zero pages without end', { type: ZERO, pageCount: 0xffff_ffff }],
    ['a first page of 2^53', { type: ZERO, block: 2, firstPage: 2n ** 53n, pageCount: 1 }],
    ['a first page above 2^53', { type: ZERO, block: 2, firstPage: 2n ** 53n + 1n, pageCount: 1 }],
    ['a first page of 2^64 - 1', { type: ZERO, block: 2, firstPage: 2n ** 64n - 1n, pageCount: 2 }],
    [
      'a run that would wrap at 2^64',
      { type: ZERO, block: 2, firstPage: 2n ** 64n - 2n ** 32n + 1n, pageCount: 0xffff_ffff },
    ],

    ['a bitmap of nothing', { type: DISCARD }],
    [
      'a bitmap that starts within a word',
      { type: DISCARD, bodyBytes: 1, firstPage: 8n, pageCount: 8 },
    ],
    ['a bitmap with a byte too many', { type: DISCARD, bodyBytes: 2, pageCount: 8 }],
    ['a bitmap with a byte too few', { type: RECV_BITMAP, bodyBytes: 1, pageCount: 9 }],
    ['a bitmap beyond its block', { type: RECV_BITMAP, bodyBytes: 9, pageCount: 65 }],
    ['a bitmap of no block', { type: RECV_BITMAP, block: 9, bodyBytes: 1, pageCount: 8 }],
    [
      'a bitmap above its limit',
      {
        type: RECV_BITMAP,
        block: 2,
        bodyBytes: BITMAP_BODY_BYTES_MAX + 1,
        pageCount: (BITMAP_BODY_BYTES_MAX + 1) * 8,
      },
    ],

    ['a control message above its limit', { type: CONTROL, bodyBytes: CONTROL_BODY_BYTES_MAX + 1 }],
    ['device state above its limit', { type: DEVICE, bodyBytes: DEVICE_BODY_BYTES_MAX + 1 }],
    ['device state of 4 GiB', { type: DEVICE, bodyBytes: 0xffff_ffff }],
    ['a request with a body', { type: REQUEST, bodyBytes: 1, pageCount: 1 }],
    ['a heartbeat with a body', { type: HEARTBEAT, bodyBytes: 1 }],
  ])('%s', (_offence, raw) => {
    expect(() => decode(rawHeader(raw))).toThrow(
      expect.objectContaining({ name: 'ChannelError', code: 'ERR_PROTOCOL' }),
    );
  });
});

test('before the blocks are agreed on, no page frame is legal', () => {
  const nothing: FrameLimits = { pageBytes: 4096, blockPages: [] };
  for (const raw of [
    { type: PAGES, bodyBytes: 4096, pageCount: 1 },
    { type: ZERO, pageCount: 1 },
    { type: DISCARD, bodyBytes: 1, pageCount: 1 },
    { type: RECV_BITMAP, bodyBytes: 1, pageCount: 1 },
    { type: ZLIB_PAGES, bodyBytes: 1, pageCount: 1 },
  ]) {
    expect(() => decode(rawHeader(raw), nothing)).toThrow(ChannelError);
  }
  expect(decode(rawHeader({ type: CONTROL, bodyBytes: 9 }), nothing).bodyBytes).toBe(9);
});

test('an impossible request is read, for its receiver to count and ignore', () => {
  const outside = decode(
    rawHeader({ type: REQUEST, block: 7, firstPage: 2n ** 63n, pageCount: 1 }),
  );
  expect(isRunInside(outside, limits)).toBe(false);
  expect(isRunInside(decode(rawHeader({ type: REQUEST })), limits)).toBe(false);
  const inside = decode(rawHeader({ type: REQUEST, firstPage: 63n, pageCount: 1 }));
  expect(isRunInside(inside, limits)).toBe(true);
});

test('the longest body of each type is accepted', () => {
  const full = { block: 2, pageCount: BITMAP_BODY_BYTES_MAX * 8, bodyBytes: BITMAP_BODY_BYTES_MAX };
  for (const raw of [
    { type: PAGES, block: 2, bodyBytes: PAGES_BODY_BYTES_MAX, pageCount: pagesMax },
    { type: ZERO, block: 2, pageCount: 0xffff_ffff },
    { type: DISCARD, ...full },
    {
      type: ZLIB_PAGES,
      block: 2,
      bodyBytes: ZLIB_PAGES_BYTES_MAX - 1,
      pageCount: zlibPagesMax,
    },
    { type: RECV_BITMAP, ...full },
    { type: CONTROL, bodyBytes: CONTROL_BODY_BYTES_MAX },
    { type: DEVICE, bodyBytes: DEVICE_BODY_BYTES_MAX },
  ]) {
    const { type, bodyBytes } = decode(rawHeader(raw));
    expect({ type, bodyBytes }).toEqual({ type: raw.type, bodyBytes: raw.bodyBytes ?? 0 });
  }
});

test('arbitrary bytes are refused as a protocol error, or are a header within the limits', () => {
  // Known types and small numbers most of the time: else nothing would get past the first checks.
  const byte = (common: number[]): fc.Arbitrary<number> =>
    fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...common) }, fc.nat(255));
  const bytes = fc
    .tuple(
      byte(Object.values(FrameType)),
      byte([0]),
      ...Array.from({ length: FRAME_HEADER_BYTES - 2 }, () => byte([0, 0, 0, 1, 16, 32])),
    )
    .map((values) => Uint8Array.from(values));
  let accepted = 0;
  fc.assert(
    fc.property(bytes, (given) => {
      let header: FrameHeader;
      try {
        header = decode(new DataView(given.buffer));
      } catch (error) {
        expect(error).toBeInstanceOf(ChannelError);
        expect(error).toHaveProperty('code', 'ERR_PROTOCOL');
        return;
      }
      accepted += 1;
      expect(header.bodyBytes).toBeLessThanOrEqual(bodyBytesMax[header.type]);
      if (header.type === PAGES) {
        expect(header.bodyBytes).toBe(header.pageCount * limits.pageBytes);
      }
      if (header.type === ZLIB_PAGES) {
        expect(header.bodyBytes).toBeLessThan(header.pageCount * limits.pageBytes);
        expect(header.pageCount).toBeLessThanOrEqual(zlibPagesMax);
      }
      if (([PAGES, ZERO, DISCARD, RECV_BITMAP, ZLIB_PAGES] as FrameType[]).includes(header.type)) {
        expect(isRunInside(header, limits)).toBe(true);
        expect(header.firstPage + header.pageCount).toBeLessThanOrEqual(
          limits.blockPages[header.block] ?? 0,
        );
      }
    }),
    { numRuns: 5000 },
  );
  expect(accepted).toBeGreaterThan(0);
});

test('a body above the limit of its type is our own mistake when we write it', () => {
  const view = new DataView(new ArrayBuffer(FRAME_HEADER_BYTES));
  expect(() => {
    encodeFrameHeader(view, 0, PAGES, 0, 0, pagesMax + 1, PAGES_BODY_BYTES_MAX + 4096);
  }).toThrow(expect.objectContaining({ code: 'ERR_ASSERTION' }));
});
