/**
 * Counters that one thread writes and the main thread reads, without messages: 64-bit floats do not
 * tear. Each thread has its own, so none is written by two.
 */
export class Counters<Name extends string> {
  readonly buffer: SharedArrayBuffer;
  readonly #names: readonly Name[];
  readonly #values: Float64Array;

  constructor(names: readonly Name[], buffer = new SharedArrayBuffer(names.length * 8)) {
    this.buffer = buffer;
    this.#names = names;
    this.#values = new Float64Array(buffer);
  }

  add(name: Name, value: number): void {
    this.#values[this.#names.indexOf(name)]! += value;
  }

  get(name: Name): number {
    return this.#values[this.#names.indexOf(name)] as number;
  }
}

/** The counters of several threads that do the same, as one. */
export class CounterSum<Name extends string> {
  readonly #parts: readonly Counters<Name>[];

  constructor(parts: readonly Counters<Name>[]) {
    this.#parts = parts;
  }

  get(name: Name): number {
    return this.#parts.reduce((sum, part) => sum + part.get(name), 0);
  }
}

export const senderCounters = [
  'normalPages',
  'zeroPages',
  'bytes',
  'syncs',
  /** Milliseconds slept as the bandwidth limit asks. */
  'pacedMillis',
  /** Milliseconds in writes of pages: copied into the socket, or waited for room in it. */
  'writeMillis',
] as const;
export type SenderCounter = (typeof senderCounters)[number];
export type SenderCounters = Counters<SenderCounter>;

export const returnPathCounters = [
  'requests',
  'impossibleRequests',
  'repeatedRequests',
  'urgentPages',
  'urgentZeroPages',
  'urgentBytes',
  /** Neighbours of requested pages, counted among the urgent pages as well. */
  'prefetchedPages',
  /** Asked for again, since they arrived damaged. */
  'resentPages',
  'resends',
  'reads',
] as const;
export type ReturnPathCounters = Counters<(typeof returnPathCounters)[number]>;

export const receiverCounters = [
  'normalPages',
  'zeroPages',
  'bytes',
  'duplicatePages',
  /** Frames of pages whose body is not what was sent. */
  'damagedFrames',
  'damagedPages',
  /** Reads begun and reads ended: odd while one waits for the link. */
  'reads',
] as const;
export type ReceiverCounter = (typeof receiverCounters)[number];
export type ReceiverCounters = Counters<ReceiverCounter>;

export const faultCounters = [
  'faults',
  'requests',
  /** Faults on pages that are received as zero: answered here, without a request. */
  'localFaults',
  /** Milliseconds during which every vCPU waited at once (QEMU: postcopy-blocktime). */
  'blocktimeMillis',
] as const;
export type FaultCounters = Counters<(typeof faultCounters)[number]>;
