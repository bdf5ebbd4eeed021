import type { RamAccess } from '@godwit/core';

import { PAGE_WORDS, type Segment } from '../pages/memory-pages.ts';
import { COUNTER_WORD } from '../pages/page-content.ts';
import type { Workload } from '../program.ts';

/** What a step does to its page; blocks where the page is missing. */
export type Visit = (segment: Segment, page: number) => void;

/** One for all steps, so that memory which the kernel watches is touched without a question. */
export function chooseVisit(segments: readonly Segment[], workload: Workload): Visit {
  const isPortable = segments.some(({ access }) => access !== undefined); // of one guest, all or none
  if (workload === 'sweep') return isPortable ? sweepByAccess : sweep;
  return isPortable ? countByAccess : count;
}

function sweep({ words, firstPage }: Segment, page: number): void {
  incrementByte(words, (page - firstPage) * PAGE_WORDS);
}

function count({ words, firstPage }: Segment, page: number): void {
  incrementCounter(words, (page - firstPage) * PAGE_WORDS + COUNTER_WORD);
}

/** The order is what keeps a store from being lost: see `RamAccess`. */
function sweepByAccess(segment: Segment, page: number): void {
  const pageInBlock = page - segment.firstPage + segment.firstPageInBlock;
  const access = segment.access as RamAccess; // chosen for segments that have one
  access.ensure(pageInBlock);
  sweep(segment, page);
  access.wrote(pageInBlock);
}

/** As `sweepByAccess`. */
function countByAccess(segment: Segment, page: number): void {
  const pageInBlock = page - segment.firstPage + segment.firstPageInBlock;
  const access = segment.access as RamAccess;
  access.ensure(pageInBlock);
  count(segment, page);
  access.wrote(pageInBlock);
}

/** The lowest byte of a word by 1, modulo 256. */
function incrementByte(words: Int32Array, index: number): void {
  const word = words[index] ?? 0;
  words[index] = (word & ~0xff) | ((word + 1) & 0xff);
}

/** The 64-bit counter that begins at a word by 1. */
function incrementCounter(words: Int32Array, index: number): void {
  const low = ((words[index] ?? 0) + 1) | 0;
  words[index] = low;
  if (low === 0) words[index + 1] = (words[index + 1] ?? 0) + 1;
}
