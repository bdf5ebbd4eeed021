import { expect, test } from 'vitest';
import { ExpectedDowntime } from '../src/migration/expected-downtime.ts';

const period = { bytes: 1_000_000, bytesPerMilli: 10_000, dirtyRate: 50 };

test('it begins as the limit, and is what was dirty at the last sync over the bandwidth', () => {
  const expected = new ExpectedDowntime(300);
  expect(expected.millis).toBe(300);
  expected.synced(2_000_000);
  expect(expected.millis).toBe(300);
  expected.estimate(period);
  expect(expected.millis).toBe(200);
  expected.synced(500_000);
  expected.estimate(period);
  expect(expected.millis).toBe(50);
});

test.for([
  ['the guest writes nothing', { dirtyRate: 0 }],
  ['too little was sent to know the bandwidth', { bytes: 10_000 }],
  ['there is no bandwidth yet', { bytesPerMilli: 0 }],
] as const)('where %s it stays as it is', ([_why, change]) => {
  const expected = new ExpectedDowntime(300);
  expected.synced(2_000_000);
  expected.estimate({ ...period, ...change });
  expect(expected.millis).toBe(300);
});
