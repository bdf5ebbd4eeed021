import type { PageBitmap } from './page-bitmap.ts';

const SLOT_FREE = 0;
const SLOT_WAITING = 1;
const SLOT_PLACED = 2;
/** More threads than this may wait; only the statistics miss them. */
const SLOTS = 256;
/** Float64 fields of a slot; times in milliseconds. */
const BLOCK = 0;
const PAGE = 1;
const ASKED = 2;
const PLACED = 3;
const THREAD = 4;
const FIELDS = 5;

/** Told of one fault that is over; times of `sharedMillis`. */
export type FaultVisitor = (threadId: number, askedMillis: number, placedMillis: number) => void;

/**
 * Who waits for which page since when, so that the time can be told once the page is there.
 *
 * | word | written by | read by |
 * |---|---|---|
 * | state: free → waiting | fault thread, after the fields | placing threads |
 * | waiting → placed | the placing thread that wins the exchange, after the time | fault thread |
 * | placed → free | fault thread | fault thread |
 * | end: one past the last slot in use | fault thread: up after `waiting`, down after `free` | placing threads |
 *
 * A placing thread looks only at pages that are noted as requested, which comes after `open`: it
 * never misses the slot, nor the end behind it. Nothing here allocates.
 */
export class FaultLedger {
  readonly buffer: SharedArrayBuffer;
  readonly #states: Int32Array;
  readonly #end: Int32Array;
  readonly #fields: Float64Array;

  constructor(buffer = new SharedArrayBuffer(SLOTS * (FIELDS * 8 + 4) + 4)) {
    this.buffer = buffer;
    this.#fields = new Float64Array(buffer, 0, SLOTS * FIELDS);
    this.#states = new Int32Array(buffer, SLOTS * FIELDS * 8, SLOTS);
    this.#end = new Int32Array(buffer, SLOTS * (FIELDS * 8 + 4), 1);
  }

  /** The fault thread's: a thread waits for the page from now on. */
  open(block: number, page: number, threadId: number, nowMillis: number): void {
    const end = Atomics.load(this.#end, 0);
    let slot = 0;
    while (slot < end && Atomics.load(this.#states, slot) !== SLOT_FREE) slot += 1;
    if (slot === SLOTS) return;
    const at = slot * FIELDS;
    this.#fields[at + BLOCK] = block;
    this.#fields[at + PAGE] = page;
    this.#fields[at + ASKED] = nowMillis;
    this.#fields[at + THREAD] = threadId;
    Atomics.store(this.#states, slot, SLOT_WAITING);
    if (slot === end) Atomics.store(this.#end, 0, end + 1);
  }

  /**
   * Does this thread wait for a page? While nobody places pages the answer holds, and a no becomes a yes
   * soon after the thread has begun to wait.
   */
  isWaiting(threadId: number): boolean {
    const end = Atomics.load(this.#end, 0);
    for (let slot = 0; slot < end; slot++) {
      if (Atomics.load(this.#states, slot) !== SLOT_WAITING) continue;
      if (this.#fields[slot * FIELDS + THREAD] === threadId) return true;
    }
    return false;
  }

  /** A placing thread's: the page is there. */
  settle(block: number, page: number, nowMillis: number): void {
    const end = Atomics.load(this.#end, 0);
    for (let slot = 0; slot < end; slot++) {
      if (Atomics.load(this.#states, slot) !== SLOT_WAITING) continue;
      const at = slot * FIELDS;
      if (this.#fields[at + BLOCK] !== block || this.#fields[at + PAGE] !== page) continue;
      this.#fields[at + PLACED] = nowMillis;
      Atomics.compareExchange(this.#states, slot, SLOT_WAITING, SLOT_PLACED);
    }
  }

  /** The fault thread's: every fault that is over and was not collected before. */
  collect(visit: FaultVisitor): void {
    const fields = this.#fields;
    let end = Atomics.load(this.#end, 0);
    for (let slot = 0; slot < end; slot++) {
      if (Atomics.load(this.#states, slot) !== SLOT_PLACED) continue;
      const at = slot * FIELDS;
      const threadId = fields[at + THREAD] as number;
      const asked = fields[at + ASKED] as number;
      const placed = fields[at + PLACED] as number;
      Atomics.store(this.#states, slot, SLOT_FREE);
      visit(threadId, asked, placed);
    }
    while (end > 0 && Atomics.load(this.#states, end - 1) === SLOT_FREE) end -= 1;
    Atomics.store(this.#end, 0, end);
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
