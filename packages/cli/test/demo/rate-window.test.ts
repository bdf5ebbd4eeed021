import { expect, test } from 'vitest';

import { RateWindow } from '../../src/demo/rate-window.ts';

test('the rate is that of the window, not of all time', () => {
  const rate = new RateWindow(400);
  expect(rate.bytesPerSecond).toBe(0);
  rate.add(0, 0);
  expect(rate.bytesPerSecond).toBe(0);
  rate.add(1000, 100);
  expect(rate.bytesPerSecond).toBe(10_000);
  rate.add(1000, 500);
  expect(rate.bytesPerSecond).toBe(0);
  rate.add(3000, 600);
  expect(rate.bytesPerSecond).toBe(20_000);
});
