import { expect, test } from 'vitest';

import { STEP_TIME_BUCKETS, StepTimes } from '../src/vcpu/step-times.ts';
import { realGuest, runSteps } from './real-ram.ts';

test.each([
  [0, 8], // the shortest that is told apart
  [8, 8],
  [15, 15],
  [16, 16],
  [1000, 63], // 960 to 1023
  [1024, 64],
  [1_000_000, 143], // 983 040 to 1 048 575
  [2 ** 32 - 1, STEP_TIME_BUCKETS - 1],
  [1e15, STEP_TIME_BUCKETS - 1],
])('%d ns are counted in bucket %d', (nanos, bucket) => {
  const times = new StepTimes();
  times.add(nanos / 1e6);
  expect(times.counts()).toHaveLength(STEP_TIME_BUCKETS);
  expect(times.counts().indexOf(1)).toBe(bucket);
});

test('a guest that was asked to times each of its steps', async () => {
  const guest = await realGuest({ timeSteps: true });
  await guest.resume();
  await runSteps(guest, 100);
  await guest.pause();
  expect(guest.stepTimes().reduce((sum, count) => sum + count, 0)).toBe(guest.stepsTotal);
});

test('a guest that was not asked to does not', async () => {
  const guest = await realGuest({});
  expect(guest.stepTimes()).toEqual([]);
});
