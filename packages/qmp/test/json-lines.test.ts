import fc from 'fast-check';
import { expect, test } from 'vitest';

import {
  type JsonLimits,
  type JsonPiece,
  JsonSplitter,
  VALUE_BYTES_MAX,
} from '../src/json-lines.ts';

function split(chunks: readonly (string | Uint8Array)[], limits?: JsonLimits): JsonPiece[] {
  const splitter = new JsonSplitter(limits);
  const pieces: JsonPiece[] = [];
  for (const chunk of chunks) {
    splitter.append(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
    for (let piece = splitter.next(); piece !== undefined; piece = splitter.next()) {
      pieces.push(piece);
    }
  }
  return pieces;
}

function values(...chunks: readonly (string | Uint8Array)[]): unknown[] {
  return split(chunks).map((piece) => (piece.type === 'value' ? piece.value : piece.type));
}

test('values are separated by any white space, or by nothing after an object', () => {
  expect(values('{"a":1}{"b":[2]}\r\n \t{"c":{}}\n\n[3] "d" 4 true null\n')).toEqual([
    { a: 1 },
    { b: [2] },
    { c: {} },
    [3],
    'd',
    4,
    true,
    null,
  ]);
});

test('a value comes out with its last byte, a bare one with the byte after it', () => {
  const splitter = new JsonSplitter();
  splitter.append(Buffer.from('{"a":12} 12'));
  expect(splitter.next()).toEqual({ type: 'value', value: { a: 12 }, byteLength: 8 });
  expect(splitter.next()).toBeUndefined();
  splitter.append(Buffer.from('3\n'));
  expect(splitter.next()).toEqual({ type: 'value', value: 123, byteLength: 3 });
});

test('brackets, quotes and escapes inside strings do not end anything', () => {
  const value = { a: '}]{["', '\\': '\\"', é: '€\u{1f600}\n' };
  expect(values(JSON.stringify(value))).toEqual([value]);
});

test('after malformed input reading goes on at the next line', () => {
  expect(values('{"a":1,}{"lost":1}\n{"b":2}\n')).toEqual(['malformed', { b: 2 }]);
  expect(values("{'a':1} 5\n6\n")).toEqual(['malformed', 6]);
  expect(values('}\n7\n')).toEqual(['malformed', 7]);
  expect(values('nul\n8\n')).toEqual(['malformed', 8]);
});

test('a string that is never closed costs its line', () => {
  expect(values('{"a": "b}\n{"c":1}\n')).toEqual(['malformed', { c: 1 }]);
  expect(values('{"a": "b\\\n{"c":1}\n')).toEqual(['malformed', { c: 1 }]);
});

test('the reason of malformed input names what is stray', () => {
  expect(split(['\u0001'])).toEqual([
    { type: 'malformed', reason: "JSON parse error, stray '\\x01'" },
  ]);
  expect(split(["{'a': 1}"])).toEqual([
    { type: 'malformed', reason: "JSON parse error, stray '''" },
  ]);
});

test('bytes that are not UTF-8 are malformed', () => {
  expect(values(Buffer.from([0x22, 0xff, 0x22, 0x0a, 0x31, 0x0a]))).toEqual(['malformed', 1]);
});

test('nesting is limited to 1024', () => {
  const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
  expect(values(nested(1024))).toHaveLength(1);
  expect(split([nested(1024)])[0]?.type).toBe('value');
  expect(values(`${nested(1025)}\n9\n`)).toEqual(['malformed', 9]);
});

test('a value of the greatest length passes, one byte more ends the stream', () => {
  const longest = JSON.stringify('x'.repeat(VALUE_BYTES_MAX - 2));
  expect(split([longest])[0]?.type).toBe('value');
  const tooLong = JSON.stringify('x'.repeat(VALUE_BYTES_MAX - 1));
  expect(split([tooLong, '\n1\n'])).toEqual([
    { type: 'too-long', reason: 'JSON value is longer than 1048576 bytes' },
  ]);
});

test('white space and skipped lines do not count against the length', () => {
  const limits = { valueBytesMax: 16, depthMax: 4 };
  expect(split([' '.repeat(100), '}', 'x'.repeat(100), '\n1\n'], limits)).toEqual([
    { type: 'malformed', reason: "JSON parse error, stray '}'" },
    { type: 'value', value: 1, byteLength: 1 },
  ]);
});

test('nothing comes out after stop', () => {
  const splitter = new JsonSplitter();
  splitter.append(Buffer.from('1 2 '));
  splitter.next();
  splitter.stop();
  splitter.append(Buffer.from('3 '));
  expect(splitter.next()).toBeUndefined();
});

test('how the bytes are cut into chunks makes no difference', () => {
  const cuts = fc.array(fc.nat({ max: 7 }), { maxLength: 40 });
  const space = fc.constantFrom(' ', '\n', '\r\n', '\t', ' \n ');
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.jsonValue(), space)), cuts, (items, lengths) => {
      const text = items.map(([value, gap]) => JSON.stringify(value) + gap).join('');
      const expected = items.map(([value]) => JSON.parse(JSON.stringify(value)) as unknown);
      expect(values(...cut(Buffer.from(text), lengths))).toEqual(expected);
    }),
  );
});

test('arbitrary bytes are refused or cut the same way in any chunks, and a newline recovers', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    // Mostly JSON's own alphabet, to get further in.
    fc.array(fc.constantFrom(...Buffer.from('{}[]",:\\ \n12truenul.-\'')), { maxLength: 200 }),
  );
  const limits = { valueBytesMax: 64, depthMax: 4 };
  fc.assert(
    fc.property(bytes, fc.array(fc.nat({ max: 5 })), (raw, lengths) => {
      const input = Buffer.from(raw);
      const whole = split([input], limits);
      expect(split(cut(input, lengths), limits)).toEqual(whole);
      if (whole.at(-1)?.type === 'too-long') return;
      // Whatever is open, a stray byte breaks it and the next line is read again.
      expect(split([input, '\u0001\n"sync"\n'], limits).at(-1)).toSatisfy(
        (last: JsonPiece) =>
          last.type === 'too-long' || (last.type === 'value' && last.value === 'sync'),
      );
    }),
    { numRuns: 500 },
  );
});

function cut(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let at = 0;
  for (const length of lengths) {
    chunks.push(bytes.subarray(at, at + length));
    at += length;
  }
  chunks.push(bytes.subarray(at));
  return chunks;
}
