import { mix, unmix } from '../mix.ts';
import { PAGE_WORDS, type MemoryPages, type Segment } from './memory-pages.ts';

/** The counter of the `random` and `zipf` workloads: u64 little-endian, at byte 8 of the page. */
export const COUNTER_WORD = 2;

/** Added from one word of a filled page to the next: 2^32 divided by the golden ratio. */
export const WORD_STEP = 0x9e3779b9 | 0;

/**
 * What filled page `page` holds before its first visit: word i is `base + i * WORD_STEP` modulo
 * 2^32. For one seed no two pages share a base, so a page in the wrong place is always found.
 */
export function pageBase(seed: number, page: number): number {
  return mix(mix(page) ^ mix(seed ^ 0x6a09e667));
}

/** The inverse of `pageBase`: which page a base belongs to. */
export function pageOfBase(seed: number, base: number): number {
  return unmix(unmix(base) ^ mix(seed ^ 0x6a09e667)) >>> 0;
}

/** Whether a page is filled at the start; all others begin as zeros and are not touched. */
export function isFilled(seed: number, page: number, fill: number): boolean {
  return mix(pageBase(seed, page) ^ 0x5be0cd19) >>> 0 < fill * 2 ** 32;
}

/** Writes the initial content of the filled pages of `[firstPage, endPage)`. */
export function fillPages(
  memory: MemoryPages,
  { seed, fill }: { readonly seed: number; readonly fill: number },
  firstPage: number,
  endPage: number,
): void {
  for (const segment of memory.segments) {
    const end = Math.min(endPage, segment.endPage);
    for (let page = Math.max(firstPage, segment.firstPage); page < end; page += 1) {
      if (isFilled(seed, page, fill)) fillPage(segment, page, pageBase(seed, page));
    }
  }
}

/** Tells portable memory of what `fillPages` has stored, in a loop of its own to keep that one fast. */
export function noteFilled(
  memory: MemoryPages,
  { seed, fill }: { readonly seed: number; readonly fill: number },
  firstPage: number,
  endPage: number,
): void {
  for (const { access, firstPage: first, endPage: last, firstPageInBlock } of memory.segments) {
    if (access === undefined) continue;
    const end = Math.min(endPage, last);
    for (let page = Math.max(firstPage, first); page < end; page += 1) {
      if (isFilled(seed, page, fill)) access.wrote(page - first + firstPageInBlock);
    }
  }
}

/**
 * Eight stores to a round: V8 reads the array's address again after the stores of a round, and a
 * CPU that will not read ahead of a store makes every round take 4 ns, be it of one word or of eight.
 */
function fillPage({ words, firstPage }: Segment, page: number, base: number): void {
  const start = (page - firstPage) * PAGE_WORDS;
  const end = start + PAGE_WORDS;
  let word = base;
  for (let index = start; index < end; index += 8) {
    words[index] = word;
    words[index + 1] = word + WORD_STEP;
    words[index + 2] = word + 2 * WORD_STEP;
    words[index + 3] = word + 3 * WORD_STEP;
    words[index + 4] = word + 4 * WORD_STEP;
    words[index + 5] = word + 5 * WORD_STEP;
    words[index + 6] = word + 6 * WORD_STEP;
    words[index + 7] = word + 7 * WORD_STEP;
    word = (word + 8 * WORD_STEP) | 0;
  }
}
