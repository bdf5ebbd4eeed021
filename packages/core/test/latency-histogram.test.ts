import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LatencyHistogram } from '../src/memory/latency-histogram.ts';

const OCTAVE_EIGHTH = 2 ** (1 / 8);

test('a percentile is at least the truth and at most an eighth of an octave above it', () => {
  const latencies = fc.array(fc.double({ min: 1, max: 60_000_000, noNaN: true }), { minLength: 1 });
  fc.assert(
    fc.property(latencies, fc.double({ min: 0.01, max: 1, noNaN: true }), (micros, share) => {
      const histogram = new LatencyHistogram();
      for (const value of micros) histogram.add(value);
      const rank = Math.ceil(micros.length * share);
      const truth = micros.toSorted((a, b) => a - b)[rank - 1] ?? 0;
      const percentile = histogram.percentile(share);
      expect(percentile).toBeGreaterThanOrEqual(truth * (1 - 1e-9));
      expect(percentile).toBeLessThanOrEqual(truth * OCTAVE_EIGHTH * (1 + 1e-9));
      expect(histogram.count).toBe(micros.length);
    }),
  );
});

test('without a latency there is no percentile and no octave', () => {
  const histogram = new LatencyHistogram();
  expect(histogram.count).toBe(0);
  expect(histogram.percentile(0.5)).toBe(0);
  expect(histogram.byOctave()).toEqual([]);
});

test('an octave is twice as long as the one before; the first takes all below 2 µs', () => {
  const histogram = new LatencyHistogram();
  for (const micros of [0, 0.5, 1, 1.99, 2, 3.99, 4, 256, 511]) histogram.add(micros);
  expect(histogram.byOctave()).toEqual([4, 2, 1, 0, 0, 0, 0, 0, 2]);
});

test('a latency beyond the scale is in its last bucket', () => {
  const histogram = new LatencyHistogram();
  histogram.add(3.6e9);
  histogram.add(Infinity);
  expect(histogram.count).toBe(2);
  expect(histogram.percentile(1)).toBe(2 ** 26);
});

test('the longest latency is known exactly, whatever is added after it', () => {
  const histogram = new LatencyHistogram();
  expect(histogram.max).toBe(0);
  for (const micros of [12.5, 1234.5, 0.5, 99]) histogram.add(micros);
  expect(histogram.max).toBe(1234.5);
  expect(new LatencyHistogram(histogram.buffer).max).toBe(1234.5);
});

test('what one thread adds another reads over the same buffer', () => {
  const histogram = new LatencyHistogram();
  const reader = new LatencyHistogram(histogram.buffer);
  histogram.add(100);
  expect(reader.count).toBe(1);
  expect(reader.percentile(0.5)).toBe(histogram.percentile(0.5));
});
