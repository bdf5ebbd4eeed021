import assert from 'node:assert/strict';

/** What the guest waited for at the pages that were not there yet; microseconds. */
export interface StallRun {
  /** As many as pages were asked for. */
  readonly faults: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
  /** [n]: from 2^n to 2^(n+1) microseconds. */
  readonly distribution: readonly number[];
}

/**
 * Of a guest's histogram of how long its touches took: eight to an octave of a 32-bit duration, the
 * first eight stay empty. Our own guest counts nanoseconds (`StepTimes`), the one in QEMU ticks.
 */
export const STALL_BUCKETS = 30 * 8;

/** The histogram of the guest in QEMU, as it lies in its memory. */
export function parseStalls(bytes: Uint8Array): number[] {
  assert.equal(bytes.byteLength, STALL_BUCKETS * 4);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: STALL_BUCKETS }, (_, bucket) => view.getUint32(bucket * 4, true));
}

/** Where a bucket ends, in ticks. */
export function stallUpperTicks(bucket: number): number {
  return ((bucket % 8) + 9) * bucketTicks(bucket);
}

/**
 * The stalls at remote faults, told from the touches that found their page in place: the `faults`
 * slowest of all touches since `before`. No threshold is needed, but a touch that was slow for
 * another reason (the processor was taken away) counts in the place of a fault that was faster.
 *
 * @param before,after the histogram when the guest left the source, and in the end.
 * @returns upper edges of buckets, at most an eighth too much.
 */
export function slowestStalls(
  before: readonly number[],
  after: readonly number[],
  faults: number,
  ticksPerMicro: number,
): StallRun {
  const slowest = after.map((count, bucket) => count - (before[bucket] ?? 0));
  let left = faults;
  for (let bucket = slowest.length - 1; bucket >= 0; bucket--) {
    slowest[bucket] = Math.min(slowest[bucket] as number, left);
    left -= slowest[bucket] as number;
  }
  const count = faults - left; // fewer than were asked for: pages of the guest's own, not touched
  const percentile = (share: number): number =>
    stallUpperTicks(bucketAt(slowest, Math.ceil(count * share))) / ticksPerMicro;
  const [p50, p90, p99, max] = [0.5, 0.9, 0.99, 1].map((share) =>
    count === 0 ? 0 : percentile(share),
  ) as [number, number, number, number];
  return { faults: count, p50, p90, p99, max, distribution: byOctave(slowest, ticksPerMicro) };
}

function bucketTicks(bucket: number): number {
  return 2 ** (Math.floor(bucket / 8) - 1);
}

/** The bucket of the value with this rank, counted from 1. */
function bucketAt(counts: readonly number[], rank: number): number {
  let seen = 0;
  return counts.findIndex((count) => (seen += count) >= rank);
}

function byOctave(counts: readonly number[], ticksPerMicro: number): number[] {
  const octaves: number[] = [];
  for (const [bucket, count] of counts.entries()) {
    if (count === 0) continue;
    const middleMicros = (stallUpperTicks(bucket) - bucketTicks(bucket) / 2) / ticksPerMicro;
    const octave = Math.max(0, Math.floor(Math.log2(middleMicros)));
    while (octaves.length <= octave) octaves.push(0);
    octaves[octave] = (octaves[octave] as number) + count;
  }
  return octaves;
}
