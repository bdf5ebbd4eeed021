import { closeSync, fsyncSync, openSync, readdirSync } from 'node:fs';
import { Advice, advise, pageBytes, probeHost } from '@godwit/posix';
import fc from 'fast-check';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { PagemapDirtyLog } from '../src/memory/dirty-log.ts';
import type { PageBitmap } from '../src/memory/page-bitmap.ts';
import type { RamBacking, RamBlock } from '../src/memory/ram-block.ts';
import { inWorker } from './in-worker.ts';
import { backings, bitmapsOf, bytesOf, newFolder, pageOf, pagesIn, realRam } from './real-ram.ts';

beforeEach((context) => {
  const { wpAsync } = probeHost();
  if (!wpAsync.available) context.skip(wpAsync.reason);
});

const PAGES = 100;

/** A log until the test ends, and what it has told so far. */
class Tracked {
  readonly log: PagemapDirtyLog;
  readonly dirty: readonly PageBitmap[];
  readonly present: readonly PageBitmap[];

  constructor(blocks: readonly RamBlock[]) {
    this.log = new PagemapDirtyLog(blocks);
    onTestFinished(() => this.log[Symbol.dispose]());
    this.dirty = bitmapsOf(blocks);
    this.present = bitmapsOf(blocks);
  }

  /** @returns the pages that are told now, block by block. */
  sync(): number[][] {
    for (const bitmap of this.dirty) bitmap.clear();
    this.log.sync(this.dirty, this.present);
    return this.dirty.map((bitmap) => pagesIn(bitmap));
  }

  get pagesPresent(): number[][] {
    return this.present.map((bitmap) => pagesIn(bitmap));
  }
}

function touch(block: RamBlock | undefined, pages: Iterable<number>): void {
  for (const page of pages) pageOf(block, page)[page] = page + 1;
}

function descriptorCount(): number {
  return readdirSync('/proc/self/fd').length;
}

for (const [kind, newBacking] of Object.entries(backings)) {
  test(`the first sync of ${kind} tells exactly the pages that exist`, () => {
    const blocks = realRam([PAGES, 10], newBacking());
    touch(blocks[0], [0, 31, 32, 33, 99]);
    touch(blocks[1], [9]);
    const tracked = new Tracked(blocks);
    expect(tracked.sync()).toEqual([[0, 31, 32, 33, 99], [9]]);
    expect(tracked.pagesPresent).toEqual([[0, 31, 32, 33, 99], [9]]);
    expect(tracked.sync()).toEqual([[], []]);
  });

  test(`a later sync of ${kind} tells exactly the pages written since, and no untouched one`, () => {
    const blocks = realRam([PAGES, 10], newBacking());
    touch(blocks[0], [1, 2, 3]);
    const tracked = new Tracked(blocks);
    tracked.sync();
    const seen = [new Set([1, 2, 3]), new Set<number>()];
    const inOrder = (pages: Iterable<number>) => [...pages].toSorted((a, b) => a - b);
    const some = (pages: number) => fc.uniqueArray(fc.nat(pages - 1));
    fc.assert(
      fc.property(some(PAGES), some(10), (first, second) => {
        touch(blocks[0], first);
        touch(blocks[1], second);
        expect(tracked.sync()).toEqual([inOrder(first), inOrder(second)]);
        for (const page of first) seen[0]?.add(page);
        for (const page of second) seen[1]?.add(page);
        expect(tracked.pagesPresent).toEqual(seen.map((pages) => inOrder(pages)));
      }),
      { numRuns: 60 },
    );
  });

  test(`reading ${kind} that was written before is not writing it`, () => {
    const blocks = realRam([PAGES], newBacking());
    touch(blocks[0], [4, 5]);
    const tracked = new Tracked(blocks);
    tracked.sync();
    expect(pageOf(blocks[0], 4)[4]).toBe(5);
    expect(tracked.sync()).toEqual([[]]);
  });

  test(`when the log of ${kind} ends the pages keep their content, and another can begin`, () => {
    const blocks = realRam([PAGES], newBacking());
    touch(blocks[0], [4, 5]);
    const log = new PagemapDirtyLog(blocks);
    log.sync(bitmapsOf(blocks), bitmapsOf(blocks));
    log[Symbol.dispose]();
    expect([4, 5].map((page) => pageOf(blocks[0], page)[page])).toEqual([5, 6]);
    touch(blocks[0], [6]);
    expect(new Tracked(blocks).sync()).toEqual([[4, 5, 6]]);
  });

  test(`what is copied after each sync of ${kind} is in the end what a writing guest left`, async () => {
    const pages = 300;
    const blocks = realRam([pages], newBacking());
    const tracked = new Tracked(blocks);
    const copy = new Uint8Array(pages * pageBytes);
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const { address, byteLength } = blocks[0] as RamBlock;
    const { answer, told } = inWorker({
      data: { address, byteLength, pageBytes, stop },
      body: `
        const words = new Uint32Array(lib.viewMemory(data.address, data.byteLength));
        let random = 1;
        let writes = 0;
        for (; Atomics.load(data.stop, 0) === 0; writes++) {
          random = (Math.imul(random, 1103515245) + 12345) >>> 0;
          words[Math.floor((random / 2 ** 32) * words.length)] = random;
          if (writes === 0) tell('writing');
        }
        return writes;`,
    });
    const memory = bytesOf(blocks[0]);
    const copyDirty = (): void => {
      for (const page of tracked.sync()[0] ?? []) {
        const at = page * pageBytes;
        copy.set(memory.subarray(at, at + pageBytes), at);
      }
    };
    await told;
    for (let pass = 0; pass < 100; pass += 1) copyDirty();
    Atomics.store(stop, 0, 1);
    expect(await answer).toBeGreaterThan(0);
    copyDirty(); // the guest stands still now
    expect(Buffer.compare(copy, memory)).toBe(0);
  });
}

test('pages of a file that left memory before the first sync exist all the same', () => {
  const { blocks, evict } = ramOnDisk();
  touch(blocks[0], [1, 2]);
  evict();
  const tracked = new Tracked(blocks);
  tracked.sync();
  expect(tracked.pagesPresent).toEqual([[1, 2]]);
});

test('no page of a file leaves memory while its writes are noted', () => {
  const { blocks, evict } = ramOnDisk();
  touch(blocks[0], [1, 2]);
  const tracked = new Tracked(blocks);
  tracked.sync();
  touch(blocks[0], [2, 3]);
  expect(evict).toThrow(expect.objectContaining({ code: 'EINVAL' })); // locked, says madvise(2)
  expect(tracked.sync()).toEqual([[2, 3]]);
});

test('a page that was only read is told as dirty, and as present where the kernel has no page of zeros', () => {
  const blocks = realRam([PAGES]);
  touch(blocks[0], [1]);
  for (const page of [0, 2]) expect(pageOf(blocks[0], page)[0]).toBe(0);
  const tracked = new Tracked(blocks);
  expect(tracked.sync()).toEqual([[0, 1, 2]]);
  const known = probeHost().zeroPage.available; // to be zero, without a look
  expect(tracked.pagesPresent).toEqual([known ? [1] : [0, 1, 2]]);
  touch(blocks[0], [2]);
  expect(tracked.sync()).toEqual([[2]]);
  expect(tracked.pagesPresent).toEqual([known ? [1, 2] : [0, 1, 2]]);
});

test('sync counts the pages that were new, and forgets none that was dirty before', () => {
  const blocks = realRam([PAGES, PAGES]);
  const { log, dirty, present } = new Tracked(blocks);
  dirty[1]?.addRun(0, 3);
  touch(blocks[0], [5, 6]);
  touch(blocks[1], [2, 3]);
  expect(log.sync(dirty, present)).toBe(3); // page 2 of the second block was dirty already
  expect(dirty.map((bitmap) => pagesIn(bitmap))).toEqual([
    [5, 6],
    [0, 1, 2, 3],
  ]);
});

test('a look counts what a sync would find, and changes nothing', () => {
  const blocks = realRam([PAGES, PAGES]);
  touch(blocks[0], [1, 2]);
  const tracked = new Tracked(blocks);
  tracked.sync();
  expect(tracked.log.writtenPages()).toBe(0);
  touch(blocks[0], [2, 50]);
  touch(blocks[1], [7]);
  expect(tracked.log.writtenPages()).toBe(3);
  expect(tracked.log.writtenPages()).toBe(3);
  expect(tracked.sync()).toEqual([[2, 50], [7]]);
});

test('what is collected was written since the sync, new pages included, and goes on being told', () => {
  const blocks = realRam([PAGES]);
  touch(blocks[0], [1, 2]);
  const tracked = new Tracked(blocks);
  tracked.sync();
  const { log, dirty, present } = tracked;
  for (const bitmap of dirty) bitmap.clear();
  touch(blocks[0], [2, 3]);
  expect(log.collect(dirty, present)).toBe(2);
  touch(blocks[0], [2, 4]);
  expect(log.collect(dirty, present)).toBe(1); // page 2 is dirty still
  expect(dirty.map((bitmap) => pagesIn(bitmap))).toEqual([[2, 3, 4]]);
  expect(tracked.pagesPresent).toEqual([[1, 2, 3, 4]]);
  expect(tracked.sync()).toEqual([[2, 3, 4]]);
  expect(tracked.sync()).toEqual([[]]);
});

test('more regions than one scan holds are all told', () => {
  const blocks = realRam([10_000]);
  const odd = Array.from({ length: 5000 }, (_, i) => 2 * i + 1);
  const bytes = bytesOf(blocks[0]);
  for (const page of odd) bytes[page * pageBytes] = 1;
  const tracked = new Tracked(blocks);
  expect(tracked.sync()).toEqual([odd]);
  expect(tracked.sync()).toEqual([[]]);
});

test('whoever opens a log of long files can do something else now and then', () => {
  const blocks = realRam([16 * 1024], `file:${newFolder('/dev/shm')}/ram`);
  let times = 0;
  new PagemapDirtyLog(blocks, () => (times += 1))[Symbol.dispose]();
  expect(times).toBe(4); // of 64 MiB
});

test('a block that is not mapped is an error, and no descriptor stays open', () => {
  const [block] = realRam([PAGES]) as [RamBlock];
  const before = descriptorCount();
  const gone: RamBlock = { ...block, id: 'gone', address: pageBytes };
  expect(() => new PagemapDirtyLog([block, gone])).toThrow(
    expect.objectContaining({ syscall: 'ioctl UFFDIO_REGISTER' }),
  );
  expect(descriptorCount()).toBe(before);
  new PagemapDirtyLog([block])[Symbol.dispose](); // and the block is free again
  expect(descriptorCount()).toBe(before);
});

/** RAM in a file on disk, whose pages can be taken out of memory as memory pressure would. */
function ramOnDisk() {
  const path = `${newFolder('/var/tmp')}/ram`;
  const blocks = realRam([PAGES], `file:${path}` satisfies RamBacking);
  const evict = (): void => {
    const file = openSync(path, 'r+');
    fsyncSync(file); // a page that is not on disk yet stays
    closeSync(file);
    for (const block of blocks) advise(block.address, block.byteLength, Advice.PAGEOUT);
  };
  return { blocks, evict };
}
