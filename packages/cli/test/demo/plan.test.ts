import { expect, test } from 'vitest';

import {
  type DemoOptions,
  planDemo,
  postcopyBandwidth,
  remainingAtCut,
} from '../../src/demo/plan.ts';
import { parseSize } from '../../src/sizes.ts';

const options: DemoOptions = {
  memoryBytes: parseSize('256M'),
  transport: 'unix',
  workload: 'zipf',
  cuts: 1,
  precopy: false,
  seed: 1,
};

test.each(['16M', '256M', '4G'])('a precopy of %s converges: less is written than sent', (size) => {
  const plan = planDemo({ ...options, precopy: true, memoryBytes: parseSize(size) });
  expect(plan.guestRate * 4096).toBeLessThan(plan.maxBandwidth / 2);
  expect(plan.guestRate).toBeGreaterThan(0);
});

test('a guest meant for postcopy cannot converge before it', () => {
  expect(planDemo(options).downtimeLimitMillis).toBe(0);
});

test('what remains lasts a second for each stretch between cuts', () => {
  expect(postcopyBandwidth(120e6, 0)).toBe(120e6);
  expect(postcopyBandwidth(120e6, 3)).toBe(30e6);
});

test('next to nothing is not sent at a crawl, and 0, which is no limit, is never asked for', () => {
  expect(postcopyBandwidth(0, 5)).toBe(1e6);
});

test('cuts divide what remains evenly, with something left after the last', () => {
  const points = [1, 2, 3].map((cut) => remainingAtCut(1000, cut, 3));
  expect(points).toEqual([750, 500, 250]);
});
