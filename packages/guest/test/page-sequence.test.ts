import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  addVisitCounts,
  PageSequence,
  type SequenceOptions,
} from '../src/workload/page-sequence.ts';

const anySequence = fc.record({
  workload: fc.constantFrom('sweep' as const, 'random' as const, 'zipf' as const),
  seed: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  vcpu: fc.nat(63),
  size: fc.integer({ min: 1, max: 300 }),
});

test('the closed form counts the visits that a walk step by step makes', () => {
  fc.assert(
    fc.property(anySequence, fc.nat(5000), (options, steps) => {
      expect([...closedForm(options, steps)]).toEqual(countSteps(options, 0, steps));
    }),
    { numRuns: 400 },
  );
});

test('the closed form holds far beyond what can be walked', () => {
  const farOff = fc.integer({ min: 0, max: 2 ** 52 });
  fc.assert(
    fc.property(anySequence, farOff, fc.nat(2000), (options, steps, more) => {
      const before = closedForm(options, steps);
      const after = closedForm(options, steps + more);
      const walked = countSteps(options, steps, more);
      expect(walked).toEqual([...after].map((count, page) => count - (before[page] ?? 0)));
      expect(before.reduce((sum, count) => sum + count, 0)).toBe(steps);
    }),
  );
});

test('the closed form takes its time from the pages, not from the steps', () => {
  const options = { workload: 'zipf', seed: 1, vcpu: 0, size: 1 << 16 } as const;
  expect(closedForm(options, 2 ** 52).reduce((sum, count) => sum + count, 0)).toBe(2 ** 52);
});

test('a sequence begun anywhere goes on as if it had walked there', () => {
  fc.assert(
    fc.property(anySequence, fc.nat(3000), (options, steps) => {
      const walked = new PageSequence(options, 0);
      for (let step = 0; step < steps; step += 1) walked.next();
      const begun = new PageSequence(options, steps);
      for (let step = 0; step < 500; step += 1) expect(begun.next()).toBe(walked.next());
    }),
  );
});

test('sweep goes up through the pages, for ever', () => {
  const sequence = new PageSequence({ workload: 'sweep', seed: 1, vcpu: 0, size: 3 }, 0);
  expect(Array.from({ length: 7 }, () => sequence.next())).toEqual([0, 1, 2, 0, 1, 2, 0]);
});

test('zipf visits the page of rank r about in proportion to 1 / r', () => {
  const size = 4096;
  const options = { workload: 'zipf', seed: 77, vcpu: 1, size } as const;
  const hottestFirst = closedForm(options, 13 * 10 * size).toSorted((a, b) => b - a);
  const share = (first: number, end: number) =>
    hottestFirst.slice(first, end).reduce((sum, count) => sum + count, 0);
  // Each doubling of the rank has about as many visits as the one before; the coldest has fewer.
  for (let rank = 64; 4 * rank <= size / 2; rank *= 2) {
    const ratio = share(rank, 2 * rank) / share(2 * rank, 4 * rank);
    expect(ratio).toBeGreaterThan(0.9);
    expect(ratio).toBeLessThan(1.2);
  }
});

test('the hot pages of zipf are scattered over RAM', () => {
  const size = 4096;
  const counts = closedForm({ workload: 'zipf', seed: 77, vcpu: 1, size }, 13 * 10 * size);
  const limit = counts.toSorted((a, b) => b - a)[63] ?? 0;
  const hotPages = [...counts.keys()].filter((page) => (counts[page] ?? 0) >= limit);
  expect(new Set(hotPages.map((page) => Math.floor(page / 512))).size).toBeGreaterThanOrEqual(6);
});

test('vCPUs with the same number of pages go different ways', () => {
  const walk = (vcpu: number) => {
    const sequence = new PageSequence({ workload: 'random', seed: 1, vcpu, size: 100 }, 0);
    return Array.from({ length: 100 }, () => sequence.next());
  };
  expect(walk(0)).not.toEqual(walk(1));
});

test('counts of several vCPUs interleave', () => {
  const counts = new Float64Array(5);
  addVisitCounts(counts, { workload: 'sweep', seed: 1, vcpu: 0, size: 3 }, 4, 0, 2);
  addVisitCounts(counts, { workload: 'sweep', seed: 1, vcpu: 1, size: 2 }, 20, 1, 2);
  expect([...counts]).toEqual([2, 10, 1, 10, 1]);
});

function closedForm(options: SequenceOptions, steps: number): Float64Array {
  const counts = new Float64Array(options.size);
  addVisitCounts(counts, options, steps);
  return counts;
}

function countSteps(options: SequenceOptions, first: number, steps: number): number[] {
  const counts = Array.from({ length: options.size }, () => 0);
  const sequence = new PageSequence(options, first);
  for (let step = 0; step < steps; step += 1) {
    const page = sequence.next();
    counts[page] = (counts[page] ?? 0) + 1;
  }
  return counts;
}
