import fc from 'fast-check';
import { expect, test } from 'vitest';

import { medianIndex, spreadOf, sumHistograms } from '../src/migrate/statistics.ts';

/** What is measured: not negative, and far from where a sum of two overflows. */
const values = fc.array(fc.nat({ max: 1_000_000_000 }), { minLength: 1 });

test('as many values lie below the median as above it', () => {
  fc.assert(
    fc.property(values, (some) => {
      const { median, min, max } = spreadOf(some);
      const below = some.filter((value) => value < median).length;
      const above = some.filter((value) => value > median).length;
      expect(below).toBeLessThanOrEqual(some.length / 2);
      expect(above).toBeLessThanOrEqual(some.length / 2);
      expect(some).toContain(min);
      expect(some).toContain(max);
      expect(some.every((value) => min <= value && value <= max)).toBe(true);
    }),
  );
});

test('the median of an even number of runs is between the two in the middle', () => {
  expect(spreadOf([4, 1, 3, 100])).toEqual({ median: 3.5, min: 1, max: 100 });
  expect(spreadOf([10, 9, 2])).toEqual({ median: 9, min: 2, max: 10 }); // not as text: 10 < 2 < 9
});

test('no runs have no median', () => {
  expect(() => spreadOf([])).toThrow(RangeError);
  expect(() => medianIndex([])).toThrow(RangeError);
});

test('the run in the middle is one of the runs, the lower one of two', () => {
  expect(medianIndex([30, 10, 20])).toBe(2);
  expect(medianIndex([40, 30, 20, 10])).toBe(2);
  expect(medianIndex([7])).toBe(0);
});

test('histograms of different lengths lose no count', () => {
  expect(sumHistograms([[1, 2], [], [0, 1, 5]])).toEqual([1, 3, 5]);
  expect(sumHistograms([])).toEqual([]);
});
