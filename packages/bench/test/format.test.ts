import { expect, test } from 'vitest';

import { formatMicros, formatOctave } from '../src/chart/format.ts';

test.each([
  [2.04, '2 µs'],
  [38.1, '38 µs'],
  [999.4, '999 µs'],
  [1328, '1.3 ms'],
  [15_879, '16 ms'],
  [2_500_000, '2.5 s'],
])('%d µs reads %s', (micros, shown) => {
  expect(formatMicros(micros)).toBe(shown);
});

test('edges of octaves stay powers of two in every unit', () => {
  expect([0, 9, 10, 15, 19, 20, 25].map(formatOctave)).toEqual([
    '1 µs',
    '512 µs',
    '1 ms',
    '32 ms',
    '512 ms',
    '1 s',
    '32 s',
  ]);
});
