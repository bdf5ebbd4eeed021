import type { Sample } from '../migrate/runs.ts';

/** A stretch of time and how fast bytes came in it. */
export interface Stretch {
  readonly fromMillis: number;
  readonly toMillis: number;
  readonly bytesPerSecond: number;
}

/** Shorter than this, a stretch shows the clock of the samples and not the migration. */
const STRETCH_MILLIS_MIN = 8;

/**
 * The speed between samples, in stretches that are long enough to be drawn; what is left at the end
 * belongs to the last one. No byte is lost: speed times length adds up to all.
 */
export function throughputOf(samples: readonly Sample[], stretchesMax: number): Stretch[] {
  const [first] = samples;
  const last = samples.at(-1);
  if (first === undefined || last === undefined) return [];
  const lengthMin = Math.max(STRETCH_MILLIS_MIN, (last.millis - first.millis) / stretchesMax);
  const ends: Sample[] = [first];
  for (const sample of samples) {
    const before = ends.at(-1) as Sample;
    if (sample.millis - before.millis >= lengthMin) ends.push(sample);
  }
  if (ends.length > 1) ends.pop();
  if (last.millis > (ends.at(-1) as Sample).millis) ends.push(last);
  return ends.slice(1).map((end, index) => {
    const start = ends[index] as Sample;
    const seconds = (end.millis - start.millis) / 1000;
    return {
      fromMillis: start.millis,
      toMillis: end.millis,
      bytesPerSecond: (end.bytes - start.bytes) / seconds,
    };
  });
}
