import { isZeroMemory, viewMemory } from '@godwit/posix';
import type { RamBlock } from './ram-block.ts';

/** Views of more than about 4 GiB end the process; a segment is a multiple of any page size. */
const SEGMENT_BYTES = 2 ** 30;

/** Looked at in one step of a run, at most: what a failed step reads again is still in the cache. */
const STEP_PAGES_MAX = 64;

/** Looks at the content of a block's pages; for the thread that sends them, never one that serves faults. */
export class PageContent {
  readonly #block: RamBlock;
  readonly #segments: readonly Uint32Array[];
  readonly #pageWords: number;
  readonly #segmentPages: number;

  constructor(block: RamBlock) {
    const segments: Uint32Array[] = [];
    for (let at = 0; at < block.byteLength; at += SEGMENT_BYTES) {
      const bytes = Math.min(SEGMENT_BYTES, block.byteLength - at);
      segments.push(new Uint32Array(viewMemory(block.address + at, bytes)));
    }
    this.#block = block;
    this.#segments = segments;
    this.#pageWords = block.pageBytes / 4;
    this.#segmentPages = SEGMENT_BYTES / block.pageBytes;
  }

  isZero(page: number): boolean {
    return this.#zeroAhead(page, 1) === 1;
  }

  /**
   * Looks ahead in steps that double, so that neither a short run nor a long one costs much more than
   * reading it once.
   *
   * @returns how many pages from `page` on are zero, all of them before `limit`.
   */
  zeroRun(page: number, limit: number): number {
    let end = page;
    for (let step = 1; end < limit; step = Math.min(2 * step, STEP_PAGES_MAX)) {
      const count = Math.min(step, limit - end);
      const zero = this.#zeroAhead(end, count);
      end += zero;
      if (zero < count) break;
    }
    return end - page;
  }

  /** @returns how many of `count` pages are zero before the first that is not; halves where some are. */
  #zeroAhead(page: number, count: number): number {
    if (!this.#hasZeroEnds(page)) return 0;
    const { address, pageBytes } = this.#block;
    if (isZeroMemory(address + page * pageBytes, count * pageBytes)) return count;
    if (count === 1) return 0;
    const half = count >>> 1;
    const zero = this.#zeroAhead(page, half);
    return zero < half ? zero : half + this.#zeroAhead(page + half, count - half);
  }

  /** A page that is not zero is mostly known by its first or last word, without a call into libc. */
  #hasZeroEnds(page: number): boolean {
    const words = this.#segments[Math.floor(page / this.#segmentPages)] as Uint32Array;
    const start = (page % this.#segmentPages) * this.#pageWords;
    return words[start] === 0 && words[start + this.#pageWords - 1] === 0;
  }
}
