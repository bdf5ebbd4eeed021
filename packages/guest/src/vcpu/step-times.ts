const BUCKETS_PER_OCTAVE = 8;
/** Of durations that fit into 32 bits; the first eight stay empty. */
export const STEP_TIME_BUCKETS = 30 * BUCKETS_PER_OCTAVE;
const NANOS_MIN = 8;
const NANOS_MAX = 2 ** 32 - 1;

/**
 * How long the steps of a vCPU took, counted by nanoseconds: eight buckets to an octave. Bucket
 * 8 * (exponent - 2) + the three bits below the leading one. The vCPU adds, others may read.
 */
export class StepTimes {
  readonly buffer: SharedArrayBuffer;
  readonly #counts: Int32Array;

  constructor(buffer = new SharedArrayBuffer(STEP_TIME_BUCKETS * Int32Array.BYTES_PER_ELEMENT)) {
    this.buffer = buffer;
    this.#counts = new Int32Array(buffer);
  }

  add(millis: number): void {
    const nanos = Math.min(Math.max(millis * 1e6, NANOS_MIN), NANOS_MAX) >>> 0;
    const shift = 28 - Math.clz32(nanos);
    const bucket = (nanos >>> shift) + shift * BUCKETS_PER_OCTAVE;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1; // one thread writes: nothing is lost
  }

  counts(): number[] {
    return [...this.#counts];
  }
}
