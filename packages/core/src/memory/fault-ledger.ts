import type { PageBitmap } from './page-bitmap.ts';

const SLOT_FREE = 0;
const SLOT_WAITING = 1;
const SLOT_PLACED = 2;
/** More threads than this may wait; only the statistics miss them. */
const SLOTS = 256;
/** Float64 fields of a slot: block, page, when asked, when placed (milliseconds), thread. */
const FIELDS = 5;

/** One fault that is over. */
export interface SettledFault {
  readonly threadId: number;
  readonly askedMillis: number;
  readonly placedMillis: number;
}

/**
 * Who waits for which page since when, so that the time can be told once the page is there.
 *
 * | word | written by | read by |
 * |---|---|---|
 * | state: free → waiting | fault thread, after the fields | placing threads |
 * | waiting → placed | the placing thread that wins the exchange, after the time | fault thread |
 * | placed → free | fault thread | fault thread |
 */
export class FaultLedger {
  readonly buffer: SharedArrayBuffer;
  readonly #states: Int32Array;
  readonly #fields: Float64Array;

  constructor(buffer = new SharedArrayBuffer(SLOTS * (FIELDS * 8 + 4))) {
    this.buffer = buffer;
    this.#fields = new Float64Array(buffer, 0, SLOTS * FIELDS);
    this.#states = new Int32Array(buffer, SLOTS * FIELDS * 8, SLOTS);
  }

  /** The fault thread's: a thread waits for the page from now on. */
  open(block: number, page: number, threadId: number, nowMillis: number): void {
    const slot = this.#states.indexOf(SLOT_FREE);
    if (slot < 0) return;
    this.#fields.set([block, page, nowMillis, 0, threadId], slot * FIELDS);
    Atomics.store(this.#states, slot, SLOT_WAITING);
  }

  /** A placing thread's: the page is there. */
  settle(block: number, page: number, nowMillis: number): void {
    for (let slot = 0; slot < SLOTS; slot++) {
      if (Atomics.load(this.#states, slot) !== SLOT_WAITING) continue;
      const at = slot * FIELDS;
      if (this.#fields[at] !== block || this.#fields[at + 1] !== page) continue;
      this.#fields[at + 3] = nowMillis;
      Atomics.compareExchange(this.#states, slot, SLOT_WAITING, SLOT_PLACED);
    }
  }

  /** The fault thread's: every fault that is over and was not collected before. */
  *collect(): Generator<SettledFault> {
    for (let slot = 0; slot < SLOTS; slot++) {
      if (Atomics.load(this.#states, slot) !== SLOT_PLACED) continue;
      const [, , askedMillis, placedMillis, threadId] = this.#fields.slice(slot * FIELDS);
      Atomics.store(this.#states, slot, SLOT_FREE);
      yield {
        threadId: threadId as number,
        askedMillis: askedMillis as number,
        placedMillis: placedMillis as number,
      };
    }
  }
}

/** A clock that all threads of the process share, in milliseconds. */
export function sharedMillis(): number {
  const [seconds, nanos] = process.hrtime();
  return seconds * 1000 + nanos / 1e6;
}

/** Settles every requested page of a run that has just been placed. */
export function settleRun(
  ledger: FaultLedger,
  requested: PageBitmap,
  block: number,
  first: number,
  count: number,
): void {
  const end = first + count;
  for (let page = requested.next(first, end); page >= 0; page = requested.next(page + 1, end)) {
    if (requested.take(page)) ledger.settle(block, page, sharedMillis());
  }
}
