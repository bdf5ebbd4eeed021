/** Eight buckets an octave from 1 µs up: a percentile is within 9 % of the truth. */
const BUCKETS_PER_OCTAVE = 8;
const BUCKETS = 26 * BUCKETS_PER_OCTAVE;

/** Latencies from a microsecond to a minute; one thread adds, others may read. */
export class LatencyHistogram {
  readonly buffer: SharedArrayBuffer;
  readonly #max: Float64Array;
  readonly #counts: Int32Array;

  constructor(buffer = new SharedArrayBuffer(8 + BUCKETS * 4)) {
    this.buffer = buffer;
    this.#max = new Float64Array(buffer, 0, 1); // 64-bit floats do not tear
    this.#counts = new Int32Array(buffer, 8);
  }

  add(micros: number): void {
    if (micros > this.max) this.#max[0] = micros;
    const bucket = Math.floor(Math.log2(Math.max(micros, 1)) * BUCKETS_PER_OCTAVE);
    Atomics.add(this.#counts, Math.min(bucket, BUCKETS - 1), 1);
  }

  get count(): number {
    return this.#counts.reduce((sum, count) => sum + count, 0);
  }

  /** Microseconds, exact; 0 when empty. */
  get max(): number {
    return this.#max[0] as number;
  }

  /** @returns microseconds, the upper edge of the bucket; 0 when empty. */
  percentile(share: number): number {
    const target = Math.ceil(this.count * share);
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#counts[bucket] as number;
      if (seen >= target && seen > 0) return 2 ** ((bucket + 1) / BUCKETS_PER_OCTAVE);
    }
    return 0;
  }

  /** Counts by power of two: [n] from 2^n to 2^(n+1) µs (QEMU: postcopy-latency-dist). */
  byOctave(): number[] {
    const octaves: number[] = [];
    for (let at = 0; at < BUCKETS; at += BUCKETS_PER_OCTAVE) {
      octaves.push(this.#counts.subarray(at, at + BUCKETS_PER_OCTAVE).reduce((a, b) => a + b, 0));
    }
    while (octaves.length > 0 && octaves.at(-1) === 0) octaves.pop();
    return octaves;
  }
}
