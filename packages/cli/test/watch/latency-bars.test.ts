import fc from 'fast-check';
import { expect, test } from 'vitest';

import { latencyBars } from '../../src/watch/latency-bars.ts';

test('the columns stand over where their octave begins', () => {
  // 16 µs: 1, 32 µs: 8, 64 µs: 0, 128 µs: 4.
  expect(latencyBars([0, 0, 0, 0, 1, 8, 0, 4], 66, 2)).toEqual([
    '    ███',
    '▂▂▂ ███     ███',
    '16 µs   64 µs',
  ]);
});

test('where nothing was there are no bars', () => {
  expect(latencyBars([], 66, 3)).toEqual([]);
  expect(latencyBars([0, 0], 66, 3)).toEqual([]);
});

test('what does not fit is in the last column', () => {
  const counts = Array.from({ length: 20 }, () => 1);
  const lines = latencyBars(counts, 14, 1);
  expect(lines[0]).toBe('▁▁▁ ▁▁▁ ███');
  expect(lines[1]).toBe('1 µs    ≥4 µs');
  expect(latencyBars(counts, 12, 1)[1]).toBe('1 µs'); // no half of a label
});

test('no line is wider than it may be, and the smallest count is seen', () => {
  const someCounts = fc.array(fc.nat(1_000_000), { minLength: 1, maxLength: 26 });
  fc.assert(
    fc.property(someCounts, fc.integer({ min: 4, max: 120 }), (counts, width) => {
      const lines = latencyBars(counts, width, 3);
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(width);
      expect(lines.length).toBe(counts.some((count) => count > 0) ? 4 : 0);
      if (lines.length > 0) expect(lines[2]).toMatch(/[▁-█]/);
    }),
  );
});
