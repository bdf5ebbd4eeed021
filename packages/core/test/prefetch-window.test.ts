import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { PageBitmap } from '../src/memory/page-bitmap.ts';
import { PrefetchWindow, WINDOW_PAGES_MAX } from '../src/threads/prefetch-window.ts';
import { bitmapWith } from './real-ram.ts';

function allMissing(pages: number): PageBitmap {
  return bitmapWith(
    pages,
    Array.from({ length: pages }, (_, page) => page),
  );
}

/** A page is asked for and sent, and its neighbours after it. @returns the neighbours sent. */
function ask(window: PrefetchWindow, missing: readonly PageBitmap[], block: number, page: number) {
  missing[block]?.take(page);
  window.note(block, page);
  return sendAll(window, missing);
}

function sendAll(window: PrefetchWindow, missing: readonly PageBitmap[], chunkPages = 16) {
  const sent: number[] = [];
  for (let count = window.findChunk(chunkPages); count > 0; count = window.findChunk(chunkPages)) {
    expect(count).toBeLessThanOrEqual(chunkPages);
    const { chunkBlock, chunkPage } = window;
    for (let page = chunkPage; page < chunkPage + count; page += 1) {
      if (missing[chunkBlock]?.take(page) === true) sent.push(page);
    }
  }
  return sent;
}

/** Reads one missing page after the other. @returns how many neighbours each request brought. */
function sweep(window: PrefetchWindow, missing: readonly PageBitmap[], from: number, to: number) {
  const brought: number[] = [];
  const pages = missing[0] as PageBitmap;
  for (let page = pages.next(from, to); page >= 0; page = pages.next(page, to)) {
    brought.push(ask(window, missing, 0, page).length);
  }
  return brought;
}

test('a guest that reads on is sent twice as much with each request, up to a bound', () => {
  const missing = [allMissing(2000)];
  expect(sweep(new PrefetchWindow(missing), missing, 0, 600)).toEqual([
    0,
    4,
    8,
    16,
    32,
    64,
    WINDOW_PAGES_MAX,
    WINDOW_PAGES_MAX,
    WINDOW_PAGES_MAX,
    WINDOW_PAGES_MAX,
  ]);
});

test('a guest that jumps about is sent nothing that it did not ask for', () => {
  const missing = [allMissing(100_000)];
  const window = new PrefetchWindow(missing);
  for (let i = 0; i < 200; i += 1) {
    expect(ask(window, missing, 0, (i * 7919) % 99_991)).toEqual([]);
  }
  expect(window.hits).toBe(0);
  expect(window.misses).toBe(200);
});

test('after sequences that went on a new one begins with a few pages, and after jumps with fewer', () => {
  const missing = [allMissing(100_000)];
  const window = new PrefetchWindow(missing);
  sweep(window, missing, 0, 600);
  const brought = [];
  for (let i = 1; i < 7; i += 1) brought.push(ask(window, missing, 0, i * 10_000).length);
  expect(brought).toEqual([8, 4, 2, 1, 0, 0]);
});

test('sequences of several vCPUs do not disturb each other, not even in one block', () => {
  const missing = [allMissing(10_000), allMissing(10_000)];
  const window = new PrefetchWindow(missing);
  const next = [
    { block: 0, page: 100 },
    { block: 0, page: 5000 },
    { block: 1, page: 100 },
  ];
  const brought: number[][] = [[], [], []];
  for (let round = 0; round < 5; round += 1) {
    for (const [i, at] of next.entries()) {
      const sent = ask(window, missing, at.block, at.page);
      brought[i]?.push(sent.length);
      at.page = (missing[at.block] as PageBitmap).next(at.page);
    }
  }
  // The first request of a sequence may bring a few pages on the strength of the others.
  for (const pages of brought) expect(pages.slice(1)).toEqual([4, 8, 16, 32]);
});

test('more sequences than are followed forget the one least recently continued', () => {
  const missing = [allMissing(100_000)];
  const window = new PrefetchWindow(missing);
  sweep(window, missing, 0, 6); // 0 to 5 are there
  for (let i = 1; i <= 8; i += 1) ask(window, missing, 0, i * 1000);
  const misses = window.misses;
  ask(window, missing, 0, 6);
  expect(window.misses).toBe(misses + 1);
});

test('a request for a page on its way asks for more only near the end of the window', () => {
  const missing = [allMissing(1000)];
  const window = new PrefetchWindow(missing);
  sweep(window, missing, 0, 29); // windows 4, 8, 16: page 15 brought 16 to 31
  expect(ask(window, missing, 0, 17)).toEqual([]);
  const sent = ask(window, missing, 0, 24);
  expect([sent[0], sent.length]).toEqual([32, 32]);
});

test('a sequence passes over a few pages that are there already, and not over missing ones', () => {
  const missing = [allMissing(1000)];
  const window = new PrefetchWindow(missing);
  ask(window, missing, 0, 10);
  missing[0]?.takeRun(11, 30);
  expect(ask(window, missing, 0, 41)).toEqual([42, 43, 44, 45]);
  expect(ask(window, missing, 0, 60)).toEqual([61]); // a jump, with a beginning of its own
  const { misses } = window;
  missing[0]?.takeRun(62, 100);
  ask(window, missing, 0, 170);
  expect(window.misses).toBe(misses + 1);
});

test('pages that somebody else has sent meanwhile are not sent again', () => {
  const missing = [allMissing(1000)];
  const window = new PrefetchWindow(missing);
  ask(window, missing, 0, 0);
  missing[0]?.take(1);
  window.note(0, 1);
  missing[0]?.takeRun(2, 2);
  expect(sendAll(window, missing)).toEqual([4, 5]);
});

test('a window ends with its block', () => {
  const missing = [allMissing(7), allMissing(7)];
  expect(sweep(new PrefetchWindow(missing), missing, 0, 7)).toEqual([0, 4, 0]);
  expect(missing[1]?.count()).toBe(7);
});

test('what a newer request is worth leaves before what is left of an older one', () => {
  const missing = [allMissing(1000)];
  const window = new PrefetchWindow(missing);
  for (const page of [0, 1, 6]) {
    missing[0]?.take(page);
    window.note(0, page); // 4, then 8 pages; none sent yet
  }
  missing[0]?.take(500);
  window.note(0, 500);
  expect(window.findChunk(16)).toBeGreaterThan(0);
  expect(window.chunkPage).toBe(501);
});

test('nothing of an old link is sent on a new one', () => {
  const missing = [allMissing(1000)];
  const window = new PrefetchWindow(missing);
  for (const page of [0, 1]) window.note(0, page);
  window.clear();
  expect(window.findChunk(16)).toBe(0);
  expect(ask(window, missing, 0, 2)).toEqual([]);
});

test('whatever is asked for, neighbours are missing, in their block, bounded, and sent once', () => {
  const asks = fc.array(fc.tuple(fc.nat(1), fc.nat(299), fc.boolean()), { maxLength: 60 });
  fc.assert(
    fc.property(asks, (requests) => {
      const missing = [allMissing(300), allMissing(170)];
      const window = new PrefetchWindow(missing);
      let last = 0;
      for (const [block, anywhere, goesOn] of requests) {
        const { pages } = missing[block] as PageBitmap;
        const page = (goesOn ? last + 1 : anywhere) % pages;
        last = page;
        missing[block]?.take(page);
        window.note(block, page);
        const before = missing.map((bitmap) => bitmap.count());
        const sent = sendAll(window, missing);
        const after = missing.map((bitmap) => bitmap.count());
        expect(sent.length).toBeLessThanOrEqual(WINDOW_PAGES_MAX);
        const gone = before.map((count, i) => count - (after[i] ?? 0)).reduce((a, b) => a + b, 0);
        expect(gone).toBe(sent.length);
      }
    }),
  );
});
