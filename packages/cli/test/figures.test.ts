import { expect, test } from 'vitest';

import {
  formatBytes,
  formatClock,
  formatMillis,
  formatRate,
  formatShare,
  plural,
} from '../src/figures.ts';

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1023, '1.00 KiB'],
  [4096, '4.00 KiB'],
  [272_629_760, '260 MiB'],
  [1023.9 * 1024 ** 2, '1.00 GiB'],
  [5.5 * 1024 ** 5, '5632 TiB'],
])('%d bytes read %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test.each([
  [0, '0 B/s'],
  [12_345, '12.3 kB/s'],
  [999_600, '1.00 MB/s'],
  [1_250_000_000, '1.25 GB/s'],
])('%d bytes per second read %s', (rate, text) => {
  expect(formatRate(rate)).toBe(text);
});

test.each([
  [0, '0.00 ms'],
  [0.085, '85.0 µs'],
  [0.9999, '1.00 ms'],
  [2.345, '2.35 ms'],
  [123.4, '123 ms'],
  [999.7, '1.00 s'],
  [12_340, '12.3 s'],
  [125_000, '2 min 5 s'],
  [119_600, '2 min 0 s'],
])('%d ms read %s', (millis, text) => {
  expect(formatMillis(millis)).toBe(text);
});

test('a clock keeps its unit', () => {
  expect([0, 949, 61_000].map(formatClock)).toEqual(['0.0 s', '0.9 s', '61.0 s']);
});

test.each([
  [-1, '0 %'],
  [0.999, '99 %'],
  [1, '100 %'],
])('a share of %d reads %s', (share, text) => {
  expect(formatShare(share)).toBe(text);
});

test('one is singular', () => {
  expect([plural(1, 'page'), plural(0, 'page'), plural(2, 'pass', 'passes')]).toEqual([
    '1 page',
    '0 pages',
    '2 passes',
  ]);
});
