import type { PageMap } from '@godwit/core';
import { expect, test } from 'vitest';

import { pageCells } from '../../src/watch/page-cells.ts';

const grid = { 'page-size': 4096, 'pages-per-cell': 32 } as const;

function destinationMap(
  received: number[],
  more: object = {},
  pages = received.length * 32,
): PageMap {
  const none = received.map(() => 0);
  const block = { id: 'ram', pages, received, waiting: none, faulted: none, ...more };
  return { side: 'destination', ...grid, blocks: [block] };
}

function sourceMap(dirty: number[], pages = dirty.length * 32): PageMap {
  return { side: 'source', ...grid, blocks: [{ id: 'ram', pages, dirty, present: dirty }] };
}

test('without a migration there is no map', () => {
  const none: PageMap = { side: 'none', ...grid, blocks: [{ id: 'ram', pages: 64 }] };
  expect(pageCells(none, undefined, true)).toBeUndefined();
  expect(pageCells(undefined, undefined, true)).toBeUndefined();
});

test('a destination knows what is here, what is not and what was waited for', () => {
  const more = { waiting: [0, 0, 0, 1, 0], faulted: [0, 0, 0, 2, 3] };
  const cells = pageCells(undefined, destinationMap([32, 0, 16, 16, 32], more), false);
  expect(cells?.cells).toEqual(['here', 'missing', 'partly', 'waiting', 'faulted']);
  expect(cells?.totals).toEqual({ pages: 160, here: 96, missing: 64, faulted: 5, waiting: 1 });
});

test('with the source it is known what has come and been written since', () => {
  // Never sent; sent and half of it stale; sent and one page stale; sent and clean.
  const cells = pageCells(sourceMap([32, 16, 1, 0]), destinationMap([0, 32, 32, 32]), false);
  expect(cells?.cells).toEqual(['missing', 'dirty', 'partly', 'here']);
  expect(cells?.totals).toMatchObject({ here: 96, missing: 32, dirty: 17 });
});

test('a source alone tells the first pass from those that send again', () => {
  const map = sourceMap([32, 16, 0]);
  expect(pageCells(map, undefined, true)?.cells).toEqual(['missing', 'partly', 'here']);
  expect(pageCells(map, undefined, true)?.totals).toMatchObject({ missing: 48, dirty: 0 });
  expect(pageCells(map, undefined, false)?.cells).toEqual(['dirty', 'dirty', 'here']);
  expect(pageCells(map, undefined, false)?.totals).toMatchObject({ missing: 0, dirty: 48 });
});

test('the last cell of a block has fewer pages, and is full with them', () => {
  const cells = pageCells(undefined, destinationMap([32, 8], {}, 40), false);
  expect(cells?.cells).toEqual(['here', 'here']);
});

test('a source of another size is not laid over the destination', () => {
  const cells = pageCells(sourceMap([0, 0, 0]), destinationMap([32, 0]), false);
  expect(cells?.cells).toEqual(['here', 'missing']);
  expect(cells?.totals).not.toHaveProperty('dirty');
});
