import { PAGE_BYTES, PAGE_WORDS, segmentOf, type MemoryPages } from './memory-pages.ts';
import { COUNTER_WORD, isFilled, pageBase, pageOfBase, WORD_STEP } from './page-content.ts';

/** How visits show in a page. */
export type VisitMark = 'byte' | 'counter' | 'none';

/** All that decides what the pages must hold. */
export interface PageExpectation {
  readonly seed: number;
  readonly fill: number;
  readonly mark: VisitMark;
  /** How often each page was visited. */
  readonly visits: Float64Array;
}

/** A page that is not what it must be. */
export interface BadPage {
  readonly block: string;
  /** Counted from the beginning of the block, in pages of `PAGE_BYTES`. */
  readonly page: number;
  /** Of the first wrong byte, from the beginning of the page. */
  readonly offset: number;
  /** For people: what the page looks like. */
  readonly reason: string;
}

/** The words that a visit may change, from the first of the page. */
const MARKED_WORDS = COUNTER_WORD + 2;

/**
 * Compares every byte of every page.
 *
 * @param onBadPage called with the index of each page that differs, in ascending order.
 */
export function checkPages(
  memory: MemoryPages,
  expectation: PageExpectation,
  onBadPage: (page: number) => void,
): void {
  const expected = new Int32Array(MARKED_WORDS);
  for (const { words, firstPage, endPage } of memory.segments) {
    for (let page = firstPage; page < endPage; page += 1) {
      const start = (page - firstPage) * PAGE_WORDS;
      const { base, step } = initialContent(expectation, page);
      markedWords(expected, base, step, expectation.mark, expectation.visits[page] ?? 0);
      let wrong = 0;
      for (let index = 0; index < MARKED_WORDS; index += 1) {
        wrong |= (words[start + index] ?? 0) ^ (expected[index] ?? 0);
      }
      wrong |= progressionDifference(words, start, base, step);
      if (wrong !== 0) onBadPage(page);
    }
  }
}

/** What is wrong with a page that `checkPages` has found. */
export function describeBadPage(
  memory: MemoryPages,
  expectation: PageExpectation,
  page: number,
): BadPage {
  const segment = segmentOf(memory, page);
  const start = (page - segment.firstPage) * PAGE_WORDS;
  const found = segment.words.subarray(start, start + PAGE_WORDS);
  const expected = pageContent(expectation, page);
  const foundBytes = new Uint8Array(found.buffer, found.byteOffset, PAGE_BYTES);
  const expectedBytes = new Uint8Array(expected.buffer);
  return {
    block: segment.blockId,
    page: page - segment.firstPage + segment.firstPageInBlock,
    offset: foundBytes.findIndex((byte, index) => byte !== expectedBytes[index]),
    reason: explain(memory, expectation, page, found, expected),
  };
}

/** Everything page `page` must hold. */
export function pageContent(expectation: PageExpectation, page: number): Int32Array {
  const { base, step } = initialContent(expectation, page);
  const words = Int32Array.from(
    { length: PAGE_WORDS },
    (_, index) => base + Math.imul(index, step),
  );
  markedWords(words, base, step, expectation.mark, expectation.visits[page] ?? 0);
  return words;
}

/** A page begins as `base + i * step` at word i. */
function initialContent(
  { seed, fill }: PageExpectation,
  page: number,
): { readonly base: number; readonly step: number } {
  return isFilled(seed, page, fill)
    ? { base: pageBase(seed, page), step: WORD_STEP }
    : { base: 0, step: 0 };
}

/** Sets the first words of a page to what `visits` visits have made of them. */
function markedWords(
  words: Int32Array,
  base: number,
  step: number,
  mark: VisitMark,
  visits: number,
): void {
  for (let index = 0; index < MARKED_WORDS; index += 1) {
    words[index] = base + Math.imul(index, step);
  }
  if (mark === 'byte') {
    words[0] = (base & ~0xff) | ((base + (visits % 256)) & 0xff);
  } else if (mark === 'counter') {
    const low = (words[COUNTER_WORD] ?? 0) >>> 0;
    const sum = low + (visits % 2 ** 32);
    const carry = Math.floor(visits / 2 ** 32) + (sum >= 2 ** 32 ? 1 : 0);
    words[COUNTER_WORD] = sum;
    words[COUNTER_WORD + 1] = (words[COUNTER_WORD + 1] ?? 0) + carry;
  }
}

/** 0 when the words no visit changes go on as they began; the inner loop of the verifier. */
function progressionDifference(
  words: Int32Array,
  start: number,
  base: number,
  step: number,
): number {
  const end = start + PAGE_WORDS;
  let expected = (base + Math.imul(MARKED_WORDS, step)) | 0;
  let difference = 0;
  for (let index = start + MARKED_WORDS; index < end; index += 1) {
    difference |= (words[index] ?? 0) ^ expected;
    expected = (expected + step) | 0;
  }
  return difference;
}

function explain(
  memory: MemoryPages,
  expectation: PageExpectation,
  page: number,
  found: Int32Array,
  expected: Int32Array,
): string {
  if (found.every((word) => word === 0)) return 'lost: it reads as zeros';
  const { base, step } = initialContent(expectation, page);
  if (progressionDifference(found, 0, base, step) === 0) {
    return explainVisits(expectation, found, expected);
  }
  const foundBase = ((found[MARKED_WORDS] ?? 0) - Math.imul(MARKED_WORDS, WORD_STEP)) | 0;
  const other = pageOfBase(expectation.seed, foundBase);
  if (
    other !== page &&
    other < memory.pageCount &&
    progressionDifference(found, 0, foundBase, WORD_STEP) === 0
  ) {
    const { blockId, firstPage, firstPageInBlock } = segmentOf(memory, other);
    return `misplaced: it holds page ${other - firstPage + firstPageInBlock} of ${blockId}`;
  }
  return 'damaged: it holds what was never written';
}

/** The page is itself, but for the words that count its visits. */
function explainVisits({ mark }: PageExpectation, found: Int32Array, expected: Int32Array): string {
  const visitsShort = missingVisits(mark, found, expected);
  const rest = found.some((word, index) => word !== expected[index] && !isMarkedWord(mark, index));
  if (rest || visitsShort === undefined) return 'damaged: it holds what was never written';
  return visitsShort > 0
    ? `stale: it lacks its last ${visitsShort} visits`
    : `ahead: it was visited ${-visitsShort} times too often`;
}

function isMarkedWord(mark: VisitMark, index: number): boolean {
  if (mark === 'byte') return index === 0;
  return mark === 'counter' && (index === COUNTER_WORD || index === COUNTER_WORD + 1);
}

/** By how many visits a page is behind (positive) or ahead; undefined when it is neither. */
function missingVisits(
  mark: VisitMark,
  found: Int32Array,
  expected: Int32Array,
): number | undefined {
  if (mark === 'byte') {
    const difference = (expected[0] ?? 0) - (found[0] ?? 0);
    return Math.abs(difference) < 256 ? difference & 0xff : undefined;
  }
  if (mark === 'none') return undefined;
  const difference = BigInt.asIntN(64, readCounter(expected) - readCounter(found));
  return Number(difference);
}

function readCounter(words: Int32Array): bigint {
  const low = BigInt((words[COUNTER_WORD] ?? 0) >>> 0);
  return (BigInt((words[COUNTER_WORD + 1] ?? 0) >>> 0) << 32n) | low;
}
