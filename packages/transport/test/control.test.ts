import { encode } from '@msgpack/msgpack';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ChannelError } from '../src/errors.ts';
import {
  BLOCKS_MAX,
  type ControlMessage,
  type ControlType,
  decodeControl,
  encodeControl,
  encodeDevice,
} from '../src/framing/control.ts';
import {
  CONTROL_BODY_BYTES_MAX,
  decodeFrameHeader,
  FRAME_HEADER_BYTES,
  FrameType,
  newFrameHeader,
} from '../src/framing/frame.ts';

const count = fc.maxSafeNat();
const text = fc.string({ unit: 'grapheme', maxLength: 200 });
const proof = {
  pages: count,
  digest: fc.uint8Array({ minLength: 32, maxLength: 32 }),
};

/** Keys that a message may lack. */
const optional: ReadonlySet<string> = new Set(['channels', 'compression', 'heartbeat']);

/** The keys of each message, `t` apart, and what they may hold. */
const keys: Readonly<Record<ControlType, Readonly<Record<string, fc.Arbitrary<unknown>>>>> = {
  start: {
    page: count,
    blocks: fc.array(
      fc.tuple(
        fc.string({ minLength: 1, maxLength: 30 }),
        fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
      ),
      { minLength: 1, maxLength: 20 },
    ),
    caps: fc.array(text, { maxLength: 20 }),
    uuid: fc.option(text),
    channels: count,
    compression: text,
    heartbeat: count,
  },
  started: {},
  refused: { why: text },
  pass: { n: count },
  sync: { n: count },
  listen: {},
  loaded: proof,
  run: { paused: fc.boolean() },
  running: {},
  flush: {},
  flushed: {},
  'switchover-ack': {},
  end: {},
  complete: proof,
  finished: {},
  abandon: { why: text },
  failed: { why: text },
  recover: {},
  recovering: { phase: fc.constantFrom('loaded', 'running', 'complete'), ...proof },
  resume: {},
  resumed: {},
};

const types = Object.keys(keys) as ControlType[];
// The record above describes the union key by key, which a mapped arbitrary cannot say.
const anyMessage = fc.oneof(
  ...types.map((t) => fc.record({ t: fc.constant(t), ...keys[t] })),
) as fc.Arbitrary<ControlMessage>;

function expectRefused(body: Uint8Array, offence = ''): void {
  expect(() => decodeControl(body)).toThrow(
    expect.objectContaining({
      name: 'ChannelError',
      code: 'ERR_PROTOCOL',
      message: expect.stringContaining(offence),
    }),
  );
}

test('every message is read as it was written, in a frame of its own', () => {
  fc.assert(
    fc.property(anyMessage, (message) => {
      const frame = encodeControl(message);
      const header = newFrameHeader();
      decodeFrameHeader(new DataView(frame.buffer), 0, header, { pageBytes: 1, blockPages: [] });
      expect(header.type).toBe(FrameType.CONTROL);
      expect(header.bodyBytes).toBe(frame.byteLength - FRAME_HEADER_BYTES);
      expect(decodeControl(frame.subarray(FRAME_HEADER_BYTES))).toEqual(message);
    }),
    { numRuns: 500 },
  );
});

test('device state travels as it is', () => {
  const state = Uint8Array.from([1, 2, 3]);
  const frame = encodeDevice(state);
  const header = newFrameHeader();
  decodeFrameHeader(new DataView(frame.buffer), 0, header, { pageBytes: 1, blockPages: [] });
  expect(header).toMatchObject({ type: FrameType.DEVICE, bodyBytes: 3 });
  expect(frame.subarray(FRAME_HEADER_BYTES)).toEqual(state);
});

describe('a message is refused', () => {
  test.each(types)('%s with a key missing, with one too many, with a wrong one', (t) => {
    fc.assert(
      fc.property(fc.record({ t: fc.constant(t), ...keys[t] }), (message) => {
        for (const key of Object.keys(keys[t]).filter((name) => !optional.has(name))) {
          const { [key]: _missing, ...rest } = message as Record<string, unknown>;
          expectRefused(encode(rest), `'${key}'`);
          for (const wrong of [-1, 0.5, 2 ** 53, {}, [[]], new Uint8Array(31)]) {
            expectRefused(encode({ ...message, [key]: wrong }), `'${key}'`);
          }
        }
        expectRefused(encode({ ...message, more: 1 }), "unknown key 'more'");
        expectRefused(encode({ ...message, 7: 1 }), "unknown key '7'");
        expectRefused(encode({ ...message, t: `${t}x` }), 'unknown control message');
      }),
      { numRuns: 10 },
    );
  });

  test.each<[string, unknown]>([
    ['no map', 7],
    ['nil', null],
    ['an array', [{ t: 'end' }]],
    ['bytes', new Uint8Array(8)],
    ['an empty map', {}],
    ['a name that every object has', { t: 'constructor' }],
    ['a name without a meaning', { t: 'x'.repeat(10_000) }],
    ['a number for a name', { t: 1 }],
    ['a map for a name', { t: { toString: 1, valueOf: 1 } }],
    ['an array for a name', { t: ['end'] }],
  ])('that is or has %s', (_what, value) => {
    expectRefused(encode(value));
  });

  test.each<[string, object]>([
    ['no blocks', { blocks: [] }],
    ['a block without a name', { blocks: [['', 1]] }],
    ['a block with a name of 256 bytes', { blocks: [['é'.repeat(128), 1]] }],
    ['a block without bytes', { blocks: [['a', 0]] }],
    ['a block of three values', { blocks: [['a', 1, 1]] }],
    ['too many capabilities', { caps: Array.from({ length: 65 }, () => 'a') }],
    ['a capability that is a number', { caps: [1] }],
    ['a text too long', { uuid: 'x'.repeat(4097) }],
  ])('that starts with %s', (_what, part) => {
    const start = { t: 'start', page: 4096, blocks: [['a', 1]], caps: [], uuid: null };
    expect(decodeControl(encode(start))).toEqual(start);
    expectRefused(encode({ ...start, ...part }), Object.keys(part)[0]);
  });

  test('that has bytes after it, or ends too early', () => {
    const body = encode({ t: 'pass', n: 2 ** 40 });
    expectRefused(Uint8Array.from([...body, 0xc0]));
    for (let length = 0; length < body.byteLength; length += 1) {
      expectRefused(body.subarray(0, length));
    }
  });
});

describe('a body that claims more than it holds', () => {
  const u32Max = [0xff, 0xff, 0xff, 0xff];
  test.each([
    ['text', [0xdb, ...u32Max]],
    ['bytes', [0xc6, ...u32Max]],
    ['an array', [0xdd, ...u32Max]],
    ['a map', [0xdf, ...u32Max]],
    ['an extension', [0xc9, ...u32Max, 1]],
    ['a timestamp', [0xd6, 0xff, 0, 0, 0, 0]],
  ])('is refused: %s', (_what, claim) => {
    expectRefused(Uint8Array.from(claim));
    expectRefused(Uint8Array.from([0x81, 0xa1, 0x74, ...claim]));
  });

  test('gets no room for an array longer than any message has', () => {
    const claim = (length: number): Uint8Array =>
      Uint8Array.from([0xdc, length >> 8, length & 255]);
    const causeOf = (body: Uint8Array): unknown => {
      try {
        return decodeControl(body);
      } catch (error) {
        return (error as ChannelError).cause;
      }
    };
    expect(causeOf(claim(BLOCKS_MAX))).toMatchObject({ name: 'RangeError' }); // looked for elements
    expect(causeOf(claim(BLOCKS_MAX + 1))).toMatchObject({
      name: 'DecodeError',
      message: expect.stringContaining('Max length exceeded'),
    });
  });
});

describe('nesting as deep as a body can make it', () => {
  const depth = CONTROL_BODY_BYTES_MAX - 16;
  const key = (name: string): number[] => [0xa0 | name.length, ...Buffer.from(name)];
  const nested = [...new Array<number>(depth).fill(0x91), 0xc0];
  const nestedMaps = Array.from({ length: depth / 3 }, () => [0x81, 0xa1, 0x61]).flat();

  test.each([
    ['alone', nested],
    ['as the type', [0x81, ...key('t'), ...nested]],
    ['as a value', [0x82, ...key('t'), ...key('pass'), ...key('n'), ...nested]],
    ['as capabilities', [0x82, ...key('t'), ...key('start'), ...key('caps'), ...nested]],
    ['of maps, as the type', [0x81, ...key('t'), ...nestedMaps, 0xc0]],
    ['without an end', nested.slice(0, -1)],
  ])('is refused, %s', (_where, bytes) => {
    expect(bytes.length).toBeLessThanOrEqual(CONTROL_BODY_BYTES_MAX);
    expectRefused(Uint8Array.from(bytes));
  });
});

test('arbitrary bytes are refused as a protocol error, or are a message', () => {
  // Real messages with some bytes changed get further than bytes from nowhere.
  const damaged = fc
    .tuple(anyMessage, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }))
    .map(([message, changes]) => {
      const body = encodeControl(message).slice(FRAME_HEADER_BYTES);
      for (const [at, value] of changes) body[at % body.byteLength] = value;
      return body;
    });
  fc.assert(
    fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 300 })), (body) => {
      try {
        expect(types).toContain(decodeControl(body).t);
      } catch (error) {
        expect(error).toBeInstanceOf(ChannelError);
        expect(error).toHaveProperty('code', 'ERR_PROTOCOL');
      }
    }),
    { numRuns: 5000 },
  );
});

test('a reason longer than the other side takes is cut, not refused', () => {
  const frame = encodeControl({ t: 'failed', why: 'x'.repeat(10_000) });
  expect(decodeControl(frame.subarray(FRAME_HEADER_BYTES))).toEqual({
    t: 'failed',
    why: 'x'.repeat(4096),
  });
});
