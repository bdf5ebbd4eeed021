import fc from 'fast-check';
import { expect, test } from 'vitest';

import { ticksTo } from '../src/chart/ticks.ts';

test('the ticks reach the largest value, and are no more than asked for', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 1e-6, max: 1e9, noNaN: true }),
      fc.integer({ min: 2, max: 10 }),
      (max, count) => {
        const ticks = ticksTo(max, count);
        expect(ticks[0]).toBe(0);
        expect(ticks.at(-1)).toBeGreaterThanOrEqual(max * (1 - 1e-8));
        expect(ticks.length).toBeLessThanOrEqual(count + 1);
        expect(ticks.length).toBeGreaterThanOrEqual(2);
      },
    ),
  );
});

test('the ticks are round', () => {
  expect(ticksTo(0.47, 5)).toEqual([0, 0.1, 0.2, 0.3, 0.4, 0.5]);
  expect(ticksTo(4.1, 5)).toEqual([0, 1, 2, 3, 4, 5]);
  expect(ticksTo(880, 8)).toEqual([0, 200, 400, 600, 800, 1000]);
});

test('without a value there is still an axis', () => {
  expect(ticksTo(0, 5)).toEqual([0, 1]);
});
