import assert from 'node:assert/strict';
import { pageBytes } from '@godwit/posix';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DirtyRateMeasurement } from '../src/dirty-rate/dirty-rate-measurement.ts';
import { openDirtyLog } from '../src/memory/open-dirty-log.ts';
import type { PageBitmap } from '../src/memory/page-bitmap.ts';
import { PortableDirtyLog } from '../src/memory/portable-dirty-log.ts';
import { RamAccess } from '../src/memory/ram-access.ts';
import type { RamBlock } from '../src/memory/ram-block.ts';
import { backings, bitmapsOf, bytesOf, pagesIn, realPortableRam } from './real-ram.ts';

const PAGES = 100;

class Tracked {
  readonly log: PortableDirtyLog;
  readonly present: readonly PageBitmap[];
  readonly #dirty: readonly PageBitmap[];

  constructor(blocks: readonly RamBlock[]) {
    this.log = new PortableDirtyLog(blocks);
    this.#dirty = bitmapsOf(blocks);
    this.present = bitmapsOf(blocks);
  }

  /** @returns the pages that are told now, block by block; their number must be what the log says. */
  ask(how: 'sync' | 'collect' = 'sync'): number[][] {
    for (const bitmap of this.#dirty) bitmap.clear();
    const added = this.log[how](this.#dirty, this.present);
    const pages = this.#dirty.map((bitmap) => pagesIn(bitmap));
    assert.equal(added, pages.flat().length);
    return pages;
  }
}

function store(block: RamBlock, ...pages: readonly number[]): void {
  const access = new RamAccess(block);
  for (const page of pages) {
    access.ensure(page);
    bytesOf(block)[page * pageBytes] = 1;
    access.wrote(page);
  }
}

test.each(Object.entries(backings))('in %s every write is told once', (_, newBacking) => {
  const blocks = realPortableRam([PAGES, 3], newBacking());
  const [first, second] = blocks as [RamBlock, RamBlock];
  store(first, 4, 99);
  const tracked = new Tracked(blocks);
  store(second, 2);
  expect(tracked.log.writtenPages()).toBe(3);
  expect(tracked.ask()).toEqual([[4, 99], [2]]);
  expect(tracked.ask()).toEqual([[], []]);
  store(first, 4, 5, 5);
  expect(tracked.log.writtenPages()).toBe(2);
  expect(tracked.ask()).toEqual([[4, 5], []]);
  expect(tracked.present.map(pagesIn)).toEqual([[4, 5, 99], [2]]);
});

test('collect tells of writes as well, and of none twice', () => {
  const blocks = realPortableRam([PAGES]);
  const tracked = new Tracked(blocks);
  tracked.ask();
  store(blocks[0]!, 7);
  expect(tracked.ask('collect')).toEqual([[7]]);
  expect(tracked.ask('collect')).toEqual([[]]);
});

test('a later log begins with every page that exists, whoever was told before', () => {
  const blocks = realPortableRam([PAGES]);
  store(blocks[0]!, 1, 2);
  const earlier = new Tracked(blocks);
  earlier.ask();
  store(blocks[0]!, 3);
  earlier.ask();
  earlier.log[Symbol.dispose]();
  store(blocks[0]!, 4);
  const later = new Tracked(blocks);
  expect(later.ask()).toEqual([[1, 2, 3, 4]]);
  expect(later.present.map(pagesIn)).toEqual([[1, 2, 3, 4]]);
  expect(later.ask()).toEqual([[]]);
});

test('of two logs, or a log and a measurement, one is refused: each would miss what the other took', async () => {
  const blocks = realPortableRam([PAGES, 3]);
  const log = new PortableDirtyLog(blocks.slice(1));
  expect(() => new PortableDirtyLog(blocks)).toThrow(/noted already/);
  const options = { mode: 'dirty-bitmap', calcMillis: 50, samplePages: 0 } as const;
  await expect(new DirtyRateMeasurement(blocks, options).result).rejects.toThrow(/EBUSY/);
  log[Symbol.dispose]();
  expect(await new DirtyRateMeasurement(blocks, options).result).toMatchObject({ total: 103 });
  using other = new PortableDirtyLog(blocks);
  log[Symbol.dispose](); // not the other's
  expect(() => new PortableDirtyLog(blocks)).toThrow(/noted already/);
  expect(other.writtenPages()).toBe(0);
});

test('whatever is written between any two questions is told by the second', () => {
  const pages = fc.array(fc.nat(PAGES - 1), { maxLength: 40 });
  fc.assert(
    fc.property(fc.array(pages, { minLength: 1, maxLength: 6 }), (rounds) => {
      const blocks = realPortableRam([PAGES]);
      const tracked = new Tracked(blocks);
      for (const round of rounds) {
        store(blocks[0]!, ...round);
        expect(tracked.ask()).toEqual([[...new Set(round)].toSorted((a, b) => a - b)]);
      }
    }),
    { numRuns: 50 },
  );
});

test('the log is chosen by the memory', () => {
  expect(openDirtyLog(realPortableRam([1]))).toBeInstanceOf(PortableDirtyLog);
});
