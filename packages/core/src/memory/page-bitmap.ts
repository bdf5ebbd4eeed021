import assert from 'node:assert/strict';

/**
 * One bit per page of a block, shared between threads; least significant bit first.
 *
 * Every change is one atomic step, so of two threads that want the same page exactly one gets it:
 * that is what keeps a page from being sent twice in postcopy. The pad bits of the last word stay 0.
 */
export class PageBitmap {
  readonly pages: number;
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  /** @param buffer of another thread's bitmap of the same size, to share it. */
  constructor(pages: number, buffer = new SharedArrayBuffer(Math.ceil(pages / 32) * 4)) {
    assert.equal(buffer.byteLength, Math.ceil(pages / 32) * 4);
    this.pages = pages;
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
  }

  has(page: number): boolean {
    return (Atomics.load(this.#words, page >>> 5) & (1 << (page & 31))) !== 0;
  }

  /** @returns whether this call set it, rather than somebody before. */
  add(page: number): boolean {
    const bit = 1 << (page & 31);
    return (Atomics.or(this.#words, page >>> 5, bit) & bit) === 0;
  }

  /** @returns whether this call cleared it. */
  take(page: number): boolean {
    const bit = 1 << (page & 31);
    return (Atomics.and(this.#words, page >>> 5, ~bit) & bit) !== 0;
  }

  /** @returns how many of the run this call set. */
  addRun(first: number, count: number): number {
    let added = 0;
    for (let page = first; page < first + count;) {
      const bits = Math.min(32 - (page & 31), first + count - page);
      const mask = maskOf(page & 31, bits);
      added += bits - popcount(Atomics.or(this.#words, page >>> 5, mask) & mask);
      page += bits;
    }
    return added;
  }

  /** @returns how many of the run this call cleared. */
  takeRun(first: number, count: number): number {
    let taken = 0;
    for (let page = first; page < first + count;) {
      const bits = Math.min(32 - (page & 31), first + count - page);
      const mask = maskOf(page & 31, bits);
      taken += popcount(Atomics.and(this.#words, page >>> 5, ~mask) & mask);
      page += bits;
    }
    return taken;
  }

  /**
   * Clears the run of set bits that begins at `page`, at most `max` long.
   *
   * @returns its length: 0 when `page` was not set (any more).
   */
  takeAhead(page: number, max: number): number {
    let taken = 0;
    const end = Math.min(page + max, this.pages);
    for (let at = page; at < end;) {
      const want = Math.min(32 - (at & 31), end - at);
      const got = this.#takeInWord(at, want);
      taken += got;
      if (got < want) break;
      at += got;
    }
    return taken;
  }

  /** @returns the first set page in [from, end), or -1. */
  next(from: number, end = this.pages): number {
    return this.#search(from, end, 0);
  }

  /** @returns the first clear page in [from, end), or -1. */
  nextClear(from: number, end = this.pages): number {
    return this.#search(from, end, -1);
  }

  count(): number {
    return this.countRun(0, this.pages);
  }

  /** @param first a multiple of 32. @returns how many of [first, first + count) are set. */
  countRun(first: number, count: number): number {
    const words = this.#words;
    const end = first + count;
    const full = end >>> 5;
    let set = 0;
    for (let i = first >>> 5; i < full; i++) set += popcount(words[i] as number);
    if ((end & 31) !== 0) set += popcount((words[full] as number) & maskOf(0, end & 31));
    return set;
  }

  fill(): void {
    this.addRun(0, this.pages);
  }

  clear(): void {
    this.#words.fill(0);
  }

  /** Becomes what `other` (same size) is not; only while no other thread changes either. */
  assignComplement(other: PageBitmap): void {
    for (let i = 0; i < this.#words.length; i++) this.#words[i] = ~(other.#words[i] as number);
    const pad = this.pages & 31;
    if (pad !== 0) this.#words[this.#words.length - 1]! &= maskOf(0, pad);
  }

  /** Adds every page of `other` (same size). @returns how many were new. */
  addAll(other: PageBitmap): number {
    let added = 0;
    for (let i = 0; i < this.#words.length; i++) {
      const bits = other.#words[i] as number;
      if (bits !== 0) added += popcount(bits & ~Atomics.or(this.#words, i, bits));
    }
    return added;
  }

  /**
   * Clears every page and adds those that were set to `first` and `others` (same size). What another
   * thread adds meanwhile is moved now or by the next call, never lost.
   *
   * @returns how many were new in `first`.
   */
  moveTo(first: PageBitmap, ...others: readonly (PageBitmap | undefined)[]): number {
    let added = 0;
    for (let i = 0; i < this.#words.length; i++) {
      if (Atomics.load(this.#words, i) === 0) continue; // an exchange takes the cache line from who writes
      const bits = Atomics.exchange(this.#words, i, 0);
      added += popcount(bits & ~Atomics.or(first.#words, i, bits));
      for (const other of others) if (other !== undefined) Atomics.or(other.#words, i, bits);
    }
    return added;
  }

  /**
   * Adds every page of this bitmap to `known` (same size), which no other thread changes meanwhile.
   *
   * @returns those that were new there.
   */
  newIn(known: PageBitmap): PageBitmap {
    const news = new PageBitmap(this.pages);
    for (let i = 0; i < this.#words.length; i++) {
      const bits = (this.#words[i] as number) & ~(known.#words[i] as number);
      if (bits === 0) continue;
      news.#words[i] = bits;
      known.#words[i]! |= bits;
    }
    return news;
  }

  /** The bits of [first, first + count) as they go on the wire; `first` is a multiple of 32. */
  toBytes(first = 0, count = this.pages): Uint8Array {
    assert(first % 32 === 0 && first + count <= this.pages);
    const bytes = new Uint8Array(Math.ceil(count / 8));
    bytes.set(new Uint8Array(this.buffer, first / 8, bytes.byteLength));
    if (count % 8 !== 0) bytes[bytes.length - 1]! &= (1 << (count % 8)) - 1;
    return bytes;
  }

  /** Calls back for each maximal run of set pages, in order; not atomic as a whole. */
  forEachRun(call: (first: number, count: number) => void): void {
    for (let page = this.next(0); page >= 0;) {
      const end = this.nextClear(page);
      call(page, (end < 0 ? this.pages : end) - page);
      page = end < 0 ? -1 : this.next(end);
    }
  }

  /** Compare-and-swap, so that a bit somebody else took meanwhile is neither counted nor put back. */
  #takeInWord(page: number, want: number): number {
    const index = page >>> 5;
    const shift = page & 31;
    for (;;) {
      const word = Atomics.load(this.#words, index);
      const ahead = ~(word >>> shift);
      const run = Math.min(ahead === 0 ? 32 : 31 - Math.clz32(ahead & -ahead), want);
      if (run === 0) return 0;
      const left = word & ~maskOf(shift, run);
      if (Atomics.compareExchange(this.#words, index, word, left) === word) return run;
    }
  }

  /** @param flip 0 to look for set bits, -1 for clear ones. */
  #search(from: number, end: number, flip: 0 | -1): number {
    if (from >= end) return -1;
    const words = this.#words;
    const last = (end - 1) >>> 5;
    let index = from >>> 5;
    let word = ((words[index] as number) ^ flip) & (-1 << (from & 31));
    while (word === 0) {
      if (++index > last) return -1;
      word = (words[index] as number) ^ flip;
    }
    const page = index * 32 + 31 - Math.clz32(word & -word);
    return page < end ? page : -1;
  }
}

/** `bits` ones from bit `shift` up; `shift + bits` is at most 32. */
function maskOf(shift: number, bits: number): number {
  return bits === 32 ? -1 : ((1 << bits) - 1) << shift;
}

function popcount(word: number): number {
  let n = word - ((word >>> 1) & 0x55555555);
  n = (n & 0x33333333) + ((n >>> 2) & 0x33333333);
  return Math.imul((n + (n >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
