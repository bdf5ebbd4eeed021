import { randomBytes } from 'node:crypto';
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ChannelError } from '../src/errors.ts';
import { deflatePages, inflatePages } from '../src/framing/zlib-pages.ts';

const PAGE_BYTES = 4096;
const text = Buffer.alloc(2 * PAGE_BYTES, 'a page of text ');

/** 256 MiB in 256 KiB. */
const bomb = deflateSync(Buffer.alloc(2 ** 28));

/** What inflated pages are written over: what stays of it was not written. */
const blank = 0xee;

/** @returns what came out, or why nothing did; and whether memory was left alone then. */
function inflate(body: Uint8Array, byteLength: number) {
  const pages = new Uint8Array(byteLength).fill(blank);
  try {
    inflatePages(body, pages);
    return { pages };
  } catch (error) {
    expect(error).toBeInstanceOf(ChannelError);
    expect(error).toHaveProperty('code', 'ERR_PROTOCOL');
    expect(pages.every((byte) => byte === blank)).toBe(true);
    return { why: (error as Error).message };
  }
}

const someLevel = fc.integer({ min: 0, max: 9 });
/** From pages of one byte to pages of chance. */
const somePages = fc
  .tuple(fc.integer({ min: 1, max: 6 }), fc.uint8Array({ minLength: 1, maxLength: 3000 }))
  .map(([count, pattern]) => new Uint8Array(Buffer.alloc(count * PAGE_BYTES, pattern)));

test('pages come out as they went in, at every level', () => {
  fc.assert(
    fc.property(somePages, someLevel, (pages, level) => {
      const body = deflatePages(pages, level);
      expect(Buffer.from(inflate(body, pages.byteLength).pages ?? []).equals(pages)).toBe(true);
    }),
  );
});

test('what can be compressed is, better at a higher level; level 0 compresses nothing', () => {
  const lengths = [0, 1, 9].map((level) => deflatePages(text, level).byteLength);
  expect(lengths[0]).toBeGreaterThan(text.byteLength);
  expect(lengths[1]).toBeLessThan(text.byteLength / 20);
  expect(lengths[2]).toBeLessThanOrEqual(lengths[1] as number);
});

test('what cannot be compressed grows by less than a hundredth, and its sender can tell', () => {
  for (const level of [0, 1, 6, 9]) {
    const { byteLength } = deflatePages(randomBytes(64 * PAGE_BYTES), level);
    expect(byteLength).toBeGreaterThan(64 * PAGE_BYTES);
    expect(byteLength).toBeLessThan(64 * PAGE_BYTES * 1.01);
  }
});

describe('refused, and no byte of it is taken:', () => {
  const body = deflateSync(text);
  const wrongChecksum = Buffer.from(body);
  wrongChecksum[body.byteLength - 1] = (body.at(-1) ?? 0) ^ 1;
  const announced = text.byteLength;

  test.each<[string, Uint8Array, string]>([
    ['a stream that is cut off', body.subarray(0, -1), 'unexpected end of file'],
    ['no stream', new Uint8Array(), 'unexpected end of file'],
    ['one byte', body.subarray(0, 1), 'unexpected end of file'],
    ['a byte behind the stream', Buffer.concat([body, Buffer.of(0)]), '1 bytes behind the end'],
    ['a second stream', Buffer.concat([body, body]), `${body.byteLength} bytes behind the end`],
    ['a page too few', deflateSync(text.subarray(0, PAGE_BYTES)), '4096 bytes where 8192 were'],
    ['a byte too few', deflateSync(text.subarray(1)), '8191 bytes where 8192 were'],
    ['a byte too many', deflateSync(Buffer.alloc(announced + 1)), 'more comes out than the 8192'],
    ['a bomb', bomb, 'more comes out than the 8192'],
    ['an empty stream', deflateSync(Buffer.alloc(0)), '0 bytes where 8192 were announced'],
    ['a checksum that does not fit', wrongChecksum, 'incorrect data check'],
    ['a stream without its header', deflateRawSync(text), 'incorrect header check'],
    ['a gzip file', gzipSync(text), 'incorrect header check'],
    [
      'a stream that needs a dictionary',
      deflateSync(text, { dictionary: Buffer.from('a page of text ') }),
      'Missing dictionary',
    ],
  ])('%s', (_offence, offending, why) => {
    expect(inflate(offending, announced).why).toContain(why);
  });
});

test('a bomb is refused before there is room for what it holds', () => {
  const before = process.memoryUsage().rss;
  expect(inflate(bomb, PAGE_BYTES).why).toContain('more comes out than the 4096 bytes announced');
  expect(process.memoryUsage().rss - before).toBeLessThan(64 * 2 ** 20);
});

test('arbitrary bytes are refused, or are what was announced', () => {
  // A stream with a few bytes changed gets further than bytes of chance.
  const changed = fc
    .tuple(
      somePages,
      fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { minLength: 1, maxLength: 3 }),
      fc.nat(20),
    )
    .map(([pages, changes, cut]) => {
      const body = Uint8Array.from(deflateSync(pages));
      for (const [at, byte] of changes) body[at % body.byteLength] = byte;
      return body.subarray(0, body.byteLength - (cut > 10 ? cut - 10 : 0));
    });
  const bodies = fc.oneof(fc.uint8Array({ maxLength: 300 }), changed);
  const byteLength = fc.integer({ min: 1, max: 6 }).map((count) => count * PAGE_BYTES);
  let refused = 0;
  fc.assert(
    fc.property(bodies, byteLength, (body, announced) => {
      const { pages, why } = inflate(body, announced);
      if (why !== undefined) refused += 1;
      else expect(pages).toHaveLength(announced);
    }),
    { numRuns: 1000 },
  );
  expect(refused).toBeGreaterThan(0);
});
