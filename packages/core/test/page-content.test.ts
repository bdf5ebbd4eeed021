import { pageBytes } from '@godwit/posix';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PageContent } from '../src/memory/page-content.ts';
import type { RamBlock } from '../src/memory/ram-block.ts';
import { pageOf, realRam } from './real-ram.ts';

test('a page with one byte set, wherever it is, is not zero, and its neighbours are', () => {
  const [block] = realRam([3]) as [RamBlock];
  const content = new PageContent(block);
  const page = pageOf(block, 1);
  const someByte = fc.integer({ min: 1, max: 255 });
  fc.assert(
    fc.property(fc.nat(pageBytes - 1), someByte, (offset, byte) => {
      page[offset] = byte;
      expect([0, 1, 2].map((it) => content.isZero(it))).toEqual([true, false, true]);
      page[offset] = 0;
      expect(content.isZero(1)).toBe(true);
    }),
    { numRuns: 300 },
  );
});

test('every word of a page is looked at', () => {
  const [block] = realRam([1]) as [RamBlock];
  const content = new PageContent(block);
  const page = pageOf(block, 0);
  const missed: number[] = [];
  for (let offset = 0; offset < pageBytes; offset += 4) {
    page[offset + 3] = 0x80; // the sign of the word
    if (content.isZero(0)) missed.push(offset);
    page[offset + 3] = 0;
  }
  expect(missed).toEqual([]);
});

test('what is written after the first look is seen at the next', () => {
  const [block] = realRam([1]) as [RamBlock];
  const content = new PageContent(block);
  expect(content.isZero(0)).toBe(true);
  pageOf(block, 0)[100] = 1;
  expect(content.isZero(0)).toBe(false);
});

test('pages of a block of more than a gibibyte are told apart across its segments', () => {
  const segmentPages = 2 ** 30 / pageBytes;
  const [block] = realRam([segmentPages + 3]) as [RamBlock];
  const content = new PageContent(block);
  const tail: RamBlock = {
    ...block,
    address: block.address + (segmentPages - 1) * pageBytes,
    byteLength: 4 * pageBytes,
  };
  const looks = (): boolean[] => [-1, 0, 1, 2].map((at) => content.isZero(segmentPages + at));
  pageOf(tail, 0)[pageBytes - 1] = 1; // the last page of the first segment
  expect(looks()).toEqual([false, true, true, true]);
  pageOf(tail, 1)[0] = 1; // the first of the second
  pageOf(tail, 3)[pageBytes / 2] = 1;
  expect(looks()).toEqual([false, false, true, false]);
  expect(content.isZero(0)).toBe(true);
});
