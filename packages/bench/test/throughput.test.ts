import fc from 'fast-check';
import { expect, test } from 'vitest';

import { throughputOf } from '../src/chart/throughput.ts';

const steps = fc.array(
  fc.record({ millis: fc.double({ min: 0.01, max: 50, noNaN: true }), bytes: fc.nat(2 ** 28) }),
  { minLength: 1, maxLength: 300 },
);

test('no byte and no time is lost between the stretches, and there are not too many', () => {
  fc.assert(
    fc.property(steps, (some) => {
      const samples = [{ millis: 0, bytes: 0 }];
      for (const { millis, bytes } of some) {
        const last = samples.at(-1) ?? { millis: 0, bytes: 0 };
        samples.push({ millis: last.millis + millis, bytes: last.bytes + bytes });
      }
      const end = samples.at(-1) ?? { millis: 0, bytes: 0 };
      const stretches = throughputOf(samples, 80);
      const bytes = stretches.reduce(
        (sum, it) => sum + (it.bytesPerSecond * (it.toMillis - it.fromMillis)) / 1000,
        0,
      );
      expect(bytes).toBeCloseTo(end.bytes, 0);
      expect(stretches.length).toBeLessThanOrEqual(81);
      expect(stretches[0]?.fromMillis).toBe(0);
      expect(stretches.at(-1)?.toMillis).toBe(end.millis);
      for (const [index, stretch] of stretches.slice(1).entries()) {
        expect(stretch.fromMillis).toBe(stretches[index]?.toMillis);
      }
    }),
  );
});

test('two samples that lie too close together make no peak', () => {
  const samples = [
    { millis: 0, bytes: 0 },
    { millis: 10, bytes: 1e7 },
    { millis: 10.01, bytes: 2e7 },
    { millis: 20, bytes: 2e7 },
  ];
  expect(throughputOf(samples, 80)).toEqual([
    { fromMillis: 0, toMillis: 10, bytesPerSecond: 1e9 },
    { fromMillis: 10, toMillis: 20, bytesPerSecond: 1e9 },
  ]);
});

test('what was too short to be sampled is one stretch; nothing is none', () => {
  const samples = [
    { millis: 0, bytes: 0 },
    { millis: 2, bytes: 4e6 },
  ];
  expect(throughputOf(samples, 80)).toEqual([{ fromMillis: 0, toMillis: 2, bytesPerSecond: 2e9 }]);
  expect(throughputOf([], 80)).toEqual([]);
});
