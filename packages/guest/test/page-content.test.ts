import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PAGE_WORDS, segmentOf } from '../src/pages/memory-pages.ts';
import { fillPages, isFilled, pageBase, pageOfBase } from '../src/pages/page-content.ts';
import { memoryOnHeap } from './memory-on-heap.ts';

const anySeed = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const anyPage = fc.integer({ min: 0, max: 2 ** 32 - 1 });

test('the base of a page tells which page it is', () => {
  fc.assert(fc.property(anySeed, anyPage, (s, page) => pageOfBase(s, pageBase(s, page)) === page));
});

test('word i of a filled page is its base plus i times 0x9e3779b9', () => {
  const memory = memoryOnHeap(3, 2);
  fillPages(memory, { seed: 5, fill: 1 }, 0, memory.pageCount);
  for (let page = 0; page < memory.pageCount; page += 1) {
    const { words, firstPage } = segmentOf(memory, page);
    const base = BigInt(pageBase(5, page));
    for (let index = 0; index < PAGE_WORDS; index += 1) {
      const expected = BigInt.asIntN(32, base + BigInt(index) * 0x9e3779b9n);
      expect(words[(page - firstPage) * PAGE_WORDS + index]).toBe(Number(expected));
    }
  }
});

test('a range is filled and nothing beside it', () => {
  const whole = memoryOnHeap(7);
  fillPages(whole, { seed: 9, fill: 1 }, 0, 7);
  const part = memoryOnHeap(7);
  fillPages(part, { seed: 9, fill: 1 }, 1, 4);
  for (let page = 0; page < 7; page += 1) {
    const expected = pageWords(whole, page);
    if (page < 1 || page >= 4) expected.fill(0);
    expect(pageWords(part, page)).toEqual(expected);
  }
});

test('as many pages are filled as asked for, and those of a small share in a larger too', () => {
  const pages = Array.from({ length: 20_000 }, (_, page) => page);
  const quarter = pages.filter((page) => isFilled(3, page, 0.25));
  expect(quarter.length / pages.length).toBeCloseTo(0.25, 1);
  expect(quarter.every((page) => isFilled(3, page, 0.5))).toBe(true);
  expect(pages.some((page) => isFilled(3, page, 0))).toBe(false);
  expect(pages.every((page) => isFilled(3, page, 1))).toBe(true);
});

function pageWords(memory: ReturnType<typeof memoryOnHeap>, page: number): number[] {
  const { words, firstPage } = segmentOf(memory, page);
  const start = (page - firstPage) * PAGE_WORDS;
  return [...words.subarray(start, start + PAGE_WORDS)];
}
