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

/** What `zeroRun` must answer, one byte at a time. */
function naiveZeroRun(block: RamBlock, page: number, limit: number): number {
  let end = page;
  while (end < limit && pageOf(block, end).every((byte) => byte === 0)) end += 1;
  return end - page;
}

test('a run of zero pages ends at the first byte that is not zero, and at the limit', () => {
  const pages = 200;
  const [block] = realRam([pages]) as [RamBlock];
  const content = new PageContent(block);
  const someByte = fc.record({
    page: fc.nat(pages - 1),
    offset: fc.oneof(fc.constantFrom(0, pageBytes - 1), fc.nat(pageBytes - 1)),
    byte: fc.integer({ min: 1, max: 255 }),
  });
  const someBytes = fc.array(someByte, { maxLength: 4 });
  fc.assert(
    fc.property(someBytes, fc.nat(pages), fc.nat(pages), (bytes, page, limit) => {
      for (const it of bytes) pageOf(block, it.page)[it.offset] = it.byte;
      const run = content.zeroRun(page, limit);
      const expected = naiveZeroRun(block, page, limit);
      for (const it of bytes) pageOf(block, it.page)[it.offset] = 0;
      expect(run).toBe(expected);
    }),
  );
});

test('a run of zero pages goes on from one segment to the next', () => {
  const segmentPages = 2 ** 30 / pageBytes;
  const [block] = realRam([segmentPages + 100]) as [RamBlock];
  const content = new PageContent(block);
  const from = segmentPages - 70;
  expect(content.zeroRun(from, segmentPages + 100)).toBe(170);
  const tail: RamBlock = {
    ...block,
    address: block.address + segmentPages * pageBytes,
    byteLength: 100 * pageBytes,
  };
  pageOf(tail, 33)[pageBytes / 2] = 1;
  expect(content.zeroRun(from, segmentPages + 100)).toBe(103);
  expect(content.zeroRun(segmentPages + 33, segmentPages + 100)).toBe(0);
});

test('a run that nobody asked for is empty', () => {
  const [block] = realRam([2]) as [RamBlock];
  expect(new PageContent(block).zeroRun(2, 2)).toBe(0);
});
