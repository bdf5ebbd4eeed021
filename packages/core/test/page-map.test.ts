import { pageBytes } from '@godwit/posix';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PageBitmap } from '../src/memory/page-bitmap.ts';
import { PAGE_MAP_CELLS_MAX, pageMap } from '../src/migration/page-map.ts';
import { bitmapWith } from './real-ram.ts';

/** Nothing is there, and nobody looks. */
function blocksOf(blockPages: readonly number[]) {
  return blockPages.map((pages, index) => ({
    id: `ram${index}`,
    address: 0x10_0000_0000 * (index + 1),
    byteLength: pages * pageBytes,
    pageBytes,
    backing: 'anon' as const,
  }));
}

test('every cell counts its own pages, and a block begins a cell of its own', () => {
  const dirty = [bitmapWith(100, [0, 31, 32, 99]), bitmapWith(40, [39])];
  expect(pageMap('source', blocksOf([100, 40]), 6, { dirty })).toEqual({
    side: 'source',
    'page-size': pageBytes,
    'pages-per-cell': 32,
    blocks: [
      { id: 'ram0', pages: 100, dirty: [2, 1, 0, 1] },
      { id: 'ram1', pages: 40, dirty: [0, 1] },
    ],
  });
});

test('without a migration there are blocks and no counts', () => {
  const { side, blocks } = pageMap('none', blocksOf([64]), 10, {});
  expect({ side, blocks }).toEqual({ side: 'none', blocks: [{ id: 'ram0', pages: 64 }] });
});

test('there are never more cells than asked for, one of each block at least, and no page is lost', () => {
  const someBlocks = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 5 });
  const someCells = fc.integer({ min: 1, max: PAGE_MAP_CELLS_MAX });
  fc.assert(
    fc.property(someBlocks, someCells, fc.integer({ min: 2, max: 9 }), (blockPages, max, step) => {
      const received = blockPages.map((pages) => {
        const bitmap = new PageBitmap(pages);
        for (let page = 0; page < pages; page += step) bitmap.add(page);
        return bitmap;
      });
      const map = pageMap('destination', blocksOf(blockPages), max, { received });
      const counts = map.blocks.map((block) => block.received ?? []);
      expect(counts.flat().length).toBeLessThanOrEqual(Math.max(max, blockPages.length));
      for (const [index, pages] of blockPages.entries()) {
        const of = counts[index] as readonly number[];
        expect(of).toHaveLength(Math.ceil(pages / map['pages-per-cell']));
        expect(of.reduce((a, b) => a + b)).toBe(Math.ceil(pages / step));
      }
    }),
  );
});

test('16 GiB are summed up in a few milliseconds, and nothing is kept per page', () => {
  const pages = 4 * 1024 * 1024;
  const layers = { dirty: [new PageBitmap(pages)], present: [new PageBitmap(pages)] };
  layers.dirty[0]?.fill();
  const blocks = blocksOf([pages]);
  const look = (): number => {
    const started = performance.now();
    pageMap('source', blocks, 1000, layers);
    return performance.now() - started;
  };
  look(); // compiles
  const best = Math.min(...Array.from({ length: 10 }, look));
  expect(best).toBeLessThan(20); // 262144 words: 0.8 ms where it is quiet
});
