import fc from 'fast-check';
import { expect, test } from 'vitest';

import { dirtyPages, type PlanInput, predict } from '../src/plan/predict.ts';

const MIB = 1024 ** 2;

/** A guest of 256 MiB that writes so many pages per second, all of them different. */
function guest(pagesPerSecond: number, changes: Partial<PlanInput> = {}): PlanInput {
  const looks = [31.25, 62.5, 125, 250, 500, 1000];
  return {
    pageBytes: 4096,
    totalPages: 65_536,
    presentPages: 65_536,
    zeroPages: 0,
    curve: looks.map((millis) => ({ millis, pages: (pagesPerSecond * millis) / 1000 })),
    bandwidth: 128 * MIB,
    switchoverBandwidth: 1.5e9,
    availBandwidth: 0,
    postcopyBandwidth: 1.5e9,
    placedBandwidth: 6e8,
    downtimeLimitMillis: 300,
    roundTripMillis: 0.1,
    linkFrom: 'measured',
    ...changes,
  };
}

const inputs = fc
  .record({
    totalPages: fc.integer({ min: 1, max: 10_000_000 }),
    present: fc.double({ min: 0, max: 1, noNaN: true }),
    zero: fc.double({ min: 0, max: 1, noNaN: true }),
    steps: fc.array(fc.integer({ min: 0, max: 1_000_000 }), { minLength: 1, maxLength: 8 }),
    bandwidth: fc.double({ min: 1e4, max: 1e11, noNaN: true }),
    link: fc.double({ min: 1e4, max: 1e11, noNaN: true }),
    downtimeLimitMillis: fc.integer({ min: 0, max: 2_000_000 }),
    roundTripMillis: fc.double({ min: 0, max: 1000, noNaN: true }),
  })
  .map((drawn): PlanInput => {
    const { totalPages, present, zero, steps, bandwidth, link } = drawn;
    const presentPages = Math.round(totalPages * present);
    let pages = 0;
    const curve = steps.map((step, index) => ({
      millis: 31.25 * 2 ** index,
      pages: (pages = Math.min(totalPages, pages + step)),
    }));
    return {
      pageBytes: 4096,
      totalPages,
      presentPages,
      zeroPages: Math.round(presentPages * zero),
      curve,
      bandwidth,
      switchoverBandwidth: link,
      availBandwidth: 0,
      postcopyBandwidth: link,
      placedBandwidth: link,
      downtimeLimitMillis: drawn.downtimeLimitMillis,
      roundTripMillis: drawn.roundTripMillis,
      linkFrom: 'measured',
    };
  });

test('every figure is finite, and nothing takes less than sending all pages once', () => {
  fc.assert(
    fc.property(inputs, (input) => {
      const { precopy, postcopy } = predict(input);
      const content = (input.presentPages - input.zeroPages) * input.pageBytes;
      for (const { bytes, totalMillis, downtimeMillis, passes } of [precopy, postcopy]) {
        for (const figure of [bytes, totalMillis, downtimeMillis, passes]) {
          expect(Number.isFinite(figure)).toBe(true);
        }
        expect(bytes).toBeGreaterThanOrEqual(content);
        expect(downtimeMillis).toBeGreaterThan(0);
        expect(totalMillis).toBeGreaterThanOrEqual(downtimeMillis);
        expect(passes).toBeGreaterThanOrEqual(2);
      }
      expect(precopy.totalMillis).toBeGreaterThanOrEqual((content / input.bandwidth) * 1000);
      expect(postcopy.downtimeMillis).toBeLessThanOrEqual(precopy.downtimeMillis);
    }),
  );
});

test('what converges keeps to the downtime limit, as the engine judges it', () => {
  fc.assert(
    fc.property(inputs, (input) => {
      const faster = { ...input, switchoverBandwidth: Math.max(input.bandwidth, 1e9) };
      const { precopy } = predict(faster);
      if (!precopy.converges) return;
      const base = 8 + 2 * input.roundTripMillis;
      expect(precopy.downtimeMillis).toBeLessThanOrEqual(input.downtimeLimitMillis + base + 1e-6);
    }),
  );
});

test('precopy that does not converge is never advised', () => {
  fc.assert(
    fc.property(inputs, (input) => {
      const { precopy, use } = predict(input);
      if (!precopy.converges) expect(use).toBe('postcopy');
    }),
  );
});

test('a larger downtime limit never turns precopy from possible to impossible', () => {
  fc.assert(
    fc.property(inputs, fc.integer({ min: 0, max: 10_000 }), (input, more) => {
      const patient = { ...input, downtimeLimitMillis: input.downtimeLimitMillis + more };
      if (predict(input).precopy.converges) {
        expect(predict(patient).precopy.converges).toBe(true);
      }
    }),
  );
});

test('the curve never falls and never exceeds memory', () => {
  fc.assert(
    fc.property(inputs, fc.nat(100_000), fc.nat(100_000), (input, millis, more) => {
      const { curve, totalPages } = input;
      const sooner = dirtyPages(curve, millis, totalPages);
      const later = dirtyPages(curve, millis + more, totalPages);
      expect(later).toBeGreaterThanOrEqual(sooner - 1e-6);
      expect(later).toBeLessThanOrEqual(totalPages);
      for (const point of curve) {
        expect(dirtyPages(curve, point.millis, totalPages)).toBeCloseTo(point.pages, 3);
      }
    }),
  );
});

test('an idle guest takes one pass and what the link needs for it', () => {
  const { precopy, use } = predict(guest(0));
  expect(precopy).toMatchObject({ converges: true, passes: 2, bytes: 256 * MIB });
  expect(precopy.totalMillis).toBeGreaterThan(2000);
  expect(precopy.totalMillis).toBeLessThan(2300);
  expect(use).toBe('precopy');
});

test('a guest that writes faster than the link carries is for postcopy', () => {
  const plan = predict(guest(60_000)); // 234 MiB/s over 128 MiB/s
  expect(plan.precopy.converges).toBe(false);
  expect(plan.use).toBe('postcopy');
  expect(plan.postcopy.bytes).toBe(256 * MIB);
});

test('where only avail-switchover-bandwidth is missing the plan says so, and with it precopy it is', () => {
  const slow = guest(40_000, { bandwidth: 64 * MIB });
  expect(predict(slow)).toMatchObject({ use: 'postcopy', precopy: { converges: false } });
  expect(predict(slow).why).toContain('set avail-switchover-bandwidth');
  const told = predict({ ...slow, availBandwidth: 1.5e9 });
  expect(told).toMatchObject({ use: 'precopy', precopy: { converges: true } });
});

test('a hot set, however hot, is told from a wide one', () => {
  const hot = guest(0, { curve: [31.25, 1000].map((millis) => ({ millis, pages: 2000 })) });
  expect(predict(hot)).toMatchObject({ use: 'precopy', precopy: { converges: true } });
});

test('zero pages cost nothing', () => {
  expect(predict(guest(0, { zeroPages: 65_536 })).precopy.bytes).toBe(0);
});
