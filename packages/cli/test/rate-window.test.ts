import { expect, test } from 'vitest';

import { RateWindow } from '../src/rate-window.ts';

test('the rate is that of the window, not of all time', () => {
  const rate = new RateWindow(400);
  expect(rate.perSecond).toBe(0);
  rate.add(0, 0);
  expect(rate.perSecond).toBe(0);
  rate.add(1000, 100);
  expect(rate.perSecond).toBe(10_000);
  rate.add(1000, 500);
  expect(rate.perSecond).toBe(0);
  rate.add(3000, 600);
  expect(rate.perSecond).toBe(20_000);
});
