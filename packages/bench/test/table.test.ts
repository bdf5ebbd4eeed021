import { expect, test } from 'vitest';

import { formatNumber, tableLines } from '../src/migrate/table.ts';

const figures = [
  { key: 'rate', label: 'migration', unit: 'GB/s', median: 3.456, min: 3.2, max: 10.04 },
  { key: 'passes', label: 'passes', unit: '', median: 3, min: 3, max: 4 },
];

test('columns stand below each other', () => {
  expect(tableLines(figures, 3)).toEqual([
    '           median        min – max',
    'migration    3.46  GB/s  3.20 – 10.0',
    'passes          3        3 – 4',
  ]);
});

test('one run has no spread', () => {
  expect(tableLines(figures, 1)).toEqual(['migration  3.46  GB/s', 'passes        3']);
});

test.each([
  [0, '0'],
  [3, '3'],
  [0.0123, '0.012'],
  [0.0999, '0.10'],
  [9.994, '9.99'],
  [9.996, '10.0'],
  [99.94, '99.9'],
  [99.96, '100'],
  [15_879.7, '15880'],
])('%d is shown as %s', (value, shown) => {
  expect(formatNumber(value)).toBe(shown);
});
