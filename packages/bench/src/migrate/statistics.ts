/** What is left of the values of several runs: nobody should believe one of them alone. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** @throws {RangeError} without values: a benchmark that measured nothing has no result. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const min = sorted[0];
  const max = sorted.at(-1);
  if (min === undefined || max === undefined) throw new RangeError('no values');
  const upper = sorted[sorted.length >> 1] as number;
  const lower = sorted[(sorted.length - 1) >> 1] as number;
  return { median: (lower + upper) / 2, min, max };
}

/** The index of the run in the middle, the lower one of two. @throws {RangeError} without values. */
export function medianIndex(values: readonly number[]): number {
  const order = [...values.keys()].toSorted(
    (a, b) => (values[a] as number) - (values[b] as number),
  );
  const index = order[(order.length - 1) >> 1];
  if (index === undefined) throw new RangeError('no values');
  return index;
}

/** Adds histograms up, bucket by bucket; the shorter ones end in zeros. */
export function sumHistograms(histograms: readonly (readonly number[])[]): number[] {
  const length = Math.max(0, ...histograms.map((histogram) => histogram.length));
  return Array.from({ length }, (_, bucket) =>
    histograms.reduce((sum, histogram) => sum + (histogram[bucket] ?? 0), 0),
  );
}
