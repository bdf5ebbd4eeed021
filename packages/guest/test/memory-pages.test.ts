import { expect, test } from 'vitest';
import { countPages, findSegment, openMemoryPages } from '../src/pages/memory-pages.ts';
import { memoryOnHeap } from './memory-on-heap.ts';

test('pages are counted through the blocks in their order', () => {
  const memory = memoryOnHeap(3, 1);
  expect(memory.pageCount).toBe(4);
  expect(
    memory.segments.map(({ words, firstPage, endPage, blockId, firstPageInBlock }) => [
      blockId,
      firstPage,
      endPage,
      firstPageInBlock,
      words.length,
    ]),
  ).toEqual([
    ['block0', 0, 2, 0, 2048],
    ['block0', 2, 3, 2, 1024],
    ['block1', 3, 4, 0, 1024],
  ]);
});

test('every segment is viewed at its own address', () => {
  const block = { pageBytes: 4096, backing: 'anon' } as const;
  const viewed: [number, number][] = [];
  openMemoryPages(
    [
      { ...block, id: 'a', address: 0x10000, byteLength: 3 * 4096 },
      { ...block, id: 'b', address: 0x90000, byteLength: 4096 },
    ],
    (address, byteLength) => {
      viewed.push([address, byteLength]);
      return new ArrayBuffer(byteLength);
    },
    2 * 4096,
  );
  expect(viewed).toEqual([
    [0x10000, 8192],
    [0x12000, 4096],
    [0x90000, 4096],
  ]);
});

test('the segment of a page is found from any other', () => {
  const { segments, pageCount } = memoryOnHeap(5, 1, 4);
  for (let page = 0; page < pageCount; page += 1) {
    for (let near = 0; near < segments.length; near += 1) {
      const segment = segments[findSegment(segments, page, near)];
      expect(segment?.firstPage).toBeLessThanOrEqual(page);
      expect(segment?.endPage).toBeGreaterThan(page);
    }
  }
});

test('a page outside RAM has no segment', () => {
  const { segments } = memoryOnHeap(5);
  expect(() => findSegment(segments, 5, 0)).toThrow(TypeError);
  expect(() => findSegment(segments, -1, 2)).toThrow(TypeError);
});

test('a block that is not made of whole pages is refused by name', () => {
  expect(() => countPages([{ id: 'odd', byteLength: 5000 }])).toThrow('RAM block odd');
  expect(() => countPages([{ id: 'none', byteLength: 0 }])).toThrow('RAM block none');
});
