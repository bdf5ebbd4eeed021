import { expect, test } from 'vitest';

import { progressBar } from '../src/progress-bar.ts';

test.each([
  [0, '░░░░'],
  [0.5, '██░░'],
  [0.54, '██▏░'],
  [0.999, '███▉'],
  [1, '████'],
  [-1, '░░░░'],
  [7, '████'],
  [Number.NaN, '░░░░'],
])('a share of %d draws %s', (share, bar) => {
  expect(progressBar(share, 4)).toBe(bar);
});

test('every share gives a bar of the same width', () => {
  const widths = Array.from({ length: 400 }, (_, step) => progressBar(step / 399, 23).length);
  expect(new Set(widths)).toEqual(new Set([23]));
});
