import { expect, test } from 'vitest';

import { exactSize, parseSize } from '../src/sizes.ts';

test.each([
  ['0', 0],
  ['4096', 4096],
  ['64K', 65_536],
  ['256M', 268_435_456],
  ['256m', 268_435_456],
  ['256MiB', 268_435_456],
  ['1.5G', 1_610_612_736],
  ['2T', 2_199_023_255_552],
])('%s is %i bytes', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test.each(['', 'M', '-1', '1e3', '256 MM', '0.3', '1P', '9007199254740993', '256M '])(
  "'%s' is refused and the error says what a size looks like",
  (text) => {
    expect(() => parseSize(text)).toThrow(/is not a size: a number of bytes, or one with K/);
  },
);

test.each([
  [0, '0'],
  [4095, '4095'],
  [65_536, '64K'],
  [272_629_760, '260M'],
  [1_610_612_736, '1536M'],
  [2 ** 40, '1T'],
])('%i bytes are written %s, which reads back as the same', (bytes, text) => {
  expect(exactSize(bytes)).toBe(text);
  expect(parseSize(text)).toBe(bytes);
});
