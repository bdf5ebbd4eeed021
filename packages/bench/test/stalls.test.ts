import { expect, test } from 'vitest';

import {
  parseStalls,
  slowestStalls,
  STALL_BUCKETS,
  stallUpperTicks,
} from '../src/migrate/stalls.ts';

/** Where the boot sector counts a touch of so many ticks. */
function bucketOf(ticks: number): number {
  const exponent = 31 - Math.clz32(ticks);
  return (ticks >>> (exponent - 3)) + (exponent - 3) * 8;
}

function histogram(touches: Readonly<Record<number, number>>): number[] {
  const counts = Array.from({ length: STALL_BUCKETS }, () => 0);
  for (const [ticks, count] of Object.entries(touches)) counts[bucketOf(Number(ticks))] = count;
  return counts;
}

test('the histogram is read as the guest wrote it', () => {
  const bytes = new Uint8Array(STALL_BUCKETS * 4);
  bytes.set([0x01, 0x02, 0, 0], 8 * 4);
  expect(parseStalls(bytes)[8]).toBe(0x0201);
  expect(() => parseStalls(bytes.subarray(4))).toThrow('956');
});

test.each([8, 9, 15, 16, 1000, 123_456, 2 ** 31, 2 ** 32 - 1])(
  'a stall of %d ticks is told as at most an eighth longer',
  (ticks) => {
    const upper = stallUpperTicks(bucketOf(ticks));
    expect(bucketOf(ticks)).toBeLessThan(STALL_BUCKETS);
    expect(upper).toBeGreaterThan(ticks);
    expect(upper).toBeLessThanOrEqual(ticks * 1.125);
  },
);

test('as many of the slowest touches count as pages were asked for', () => {
  const after = histogram({ 2_000: 90_000, 60_000: 60, 250_000: 39, 4_000_000: 1 });
  const stalls = slowestStalls(histogram({}), after, 100, 1000);
  expect(stalls).toMatchObject({
    faults: 100,
    p50: 61.44,
    p90: 262.144,
    p99: 262.144,
    max: 4194.304,
  });
  expect(stalls.distribution).toEqual([0, 0, 0, 0, 0, 60, 0, 39, 0, 0, 0, 1]);
});

test('what the guest had waited for at the source does not count', () => {
  const before = histogram({ 2_000: 1000, 4_096_000: 5 });
  const after = histogram({ 2_000: 9000, 60_000: 3, 4_096_000: 5 });
  expect(slowestStalls(before, after, 3, 1000)).toMatchObject({
    faults: 3,
    p50: 61.44,
    max: 61.44,
  });
});

test('without a fault there is nothing to tell', () => {
  const none = histogram({});
  const stalls = { faults: 0, p50: 0, p90: 0, p99: 0, max: 0, distribution: [] };
  expect(slowestStalls(none, none, 7, 1000)).toEqual(stalls);
  expect(slowestStalls(none, histogram({ 2_000: 50 }), 0, 1000)).toEqual(stalls);
});
