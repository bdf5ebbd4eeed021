import { expect, test } from 'vitest';
import { StallDetection } from '../src/migration/stall-detection.ts';

/** What is said after each of these whole passes. */
function judge(passes: readonly number[]): boolean[] {
  const stall = new StallDetection();
  return passes.map((dirtyPages) => stall.isStalled(dirtyPages, true));
}

test('passes that shrink by a tenth or more are let go on, however slowly', () => {
  const passes = Array.from({ length: 40 }, (_, i) => 100_000 * 0.89 ** i);
  expect(judge(passes)).not.toContain(true);
});

test('two passes in a row without progress are the end of precopy', () => {
  expect(judge([1000, 950, 940])).toEqual([false, false, true]);
  expect(judge([1000, 5000, 1000])).toEqual([false, false, true]);
});

test('progress is measured against the best, so that ups and downs are none', () => {
  expect(judge([1000, 2000, 1500]).at(-1)).toBe(true);
});

test('one pass that falls back is forgiven, when the next makes up for it', () => {
  expect(judge([1000, 1100, 800, 900, 700, 750])).not.toContain(true);
});

test('a pass cut short counts when it was long, and not when somebody only looked', () => {
  let now = 0;
  const stall = new StallDetection(() => now);
  expect(stall.isStalled(1000, true)).toBe(false);
  for (let i = 0; i < 4; i += 1) {
    now += 1000;
    expect(stall.isStalled(1000, false)).toBe(false);
  }
  now += 1000;
  expect(stall.isStalled(1000, false)).toBe(false); // the first without progress
  now += 5000;
  expect(stall.isStalled(1000, false)).toBe(true);
});

test('where something else is about to help it begins anew', () => {
  const stall = new StallDetection();
  for (let i = 0; i < 10; i += 1) {
    expect(stall.isStalled(1000, true)).toBe(false);
    stall.restart();
  }
});
