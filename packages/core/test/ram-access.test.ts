import { closeDescriptor, FaultReader, pageBytes, POLLIN, PollSet } from '@godwit/posix';
import { expect, onTestFinished, test, vi } from 'vitest';
import { closeFaultSource, openFaultSource, watchMissing } from '../src/memory/fault-source.ts';
import { allocateRam, makeMissing } from '../src/memory/guest-ram.ts';
import { memoryModeOf, tableBitmap } from '../src/memory/portable-ram.ts';
import type { PortableTables } from '../src/memory/portable-tables.ts';
import { RamAccess } from '../src/memory/ram-access.ts';
import type { RamBlock } from '../src/memory/ram-block.ts';
import { newReceivedPages } from '../src/memory/received-pages.ts';
import { inWorker } from './in-worker.ts';
import { bytesOf, pagesIn, realPortableRam, realRam } from './real-ram.ts';

const PAGES = 70;

/** A block whose pages are missing but for page 0, with this thread as who brings them. */
function missingRam() {
  const [block] = realPortableRam([PAGES]) as [RamBlock];
  const received = newReceivedPages([block]);
  received.addRun(0, 0, 1);
  makeMissing(block, received.bitmaps[0]!);
  const faultSource = openFaultSource([block]);
  watchMissing(faultSource, [block]);
  const receive = (page: number): void => {
    bytesOf(block).fill(page, page * pageBytes, (page + 1) * pageBytes);
    received.addRun(0, page, 1);
    Atomics.notify(new Int32Array((block.portable as PortableTables).received), page >>> 5);
  };
  return { block, faultSource, receive };
}

/** Another thread of the guest, which reads the first byte of pages. */
function reader(block: RamBlock, ...pages: readonly number[]) {
  return inWorker({
    modules: ['memory/ram-access'],
    data: { block, pages },
    body: `
      const { block, pages } = data;
      const access = new lib.RamAccess(block);
      const bytes = new Uint8Array(lib.viewMemory(block.address, block.byteLength));
      tell(lib.threadId());
      return pages.map((page) => {
        try {
          access.ensure(page);
          return bytes[page * block.pageBytes];
        } catch (error) {
          return error.code;
        }
      });`,
  });
}

/** @returns the next miss as [page, thread]; at most ten seconds. */
function nextMiss(block: RamBlock, faultSource: number): readonly [number, number] {
  const poll = new PollSet(1);
  poll.set(0, faultSource, POLLIN);
  expect(poll.poll(10_000, 1)).toBe(1);
  const faults = new FaultReader(1);
  expect(faults.read(faultSource)).toBe(1);
  return [(faults.address(0) - block.address) / pageBytes, faults.threadId(0)];
}

test('memory of a guest that begins here is all here', () => {
  const [block] = realPortableRam([PAGES]) as [RamBlock];
  const access = new RamAccess(block);
  for (let page = 0; page < PAGES; page += 1) access.ensure(page); // would throw: nobody serves it
  expect(memoryModeOf([block])).toBe('portable');
});

test('who touches a missing page says so, once, and goes on when it is here', async () => {
  const { block, faultSource, receive } = missingRam();
  const { told, answer } = reader(block, 0, 40, 69);
  const threadId = await told;
  expect(nextMiss(block, faultSource)).toEqual([40, threadId]);
  receive(41); // of the same word: it wakes, looks, and sleeps again without another word
  receive(40);
  expect(nextMiss(block, faultSource)).toEqual([69, threadId]);
  receive(69);
  expect(await answer).toEqual([0, 40, 69]);
});

test('a missing page that nobody brings any more is refused, not read as zero', async () => {
  const { block, faultSource } = missingRam();
  const { answer } = reader(block, 40, 41);
  nextMiss(block, faultSource);
  closeFaultSource(faultSource, [block]);
  expect(await answer).toEqual(['ERR_PAGE_LOST', 'ERR_PAGE_LOST']);
  expect(() => new RamAccess(block).ensure(12)).toThrow(/page 12 of RAM block 'ram0' is missing/);
});

test.each([1, 2, 3, 4])(
  'the last page that comes, and is the end of the serving, is found (before look %i)',
  (look) => {
    const { block, receive } = missingRam();
    const { load } = Atomics;
    let looks = 0;
    const spy = vi.spyOn(Atomics, 'load').mockImplementation((...of) => {
      looks += 1;
      if (looks === look) {
        receive(40);
        Atomics.store(new Int32Array((block.portable as PortableTables).served), 0, 0);
      }
      return load(...of);
    });
    onTestFinished(() => spy.mockRestore());
    new RamAccess(block).ensure(40); // would throw
    expect(bytesOf(block)[40 * pageBytes]).toBe(40);
  },
);

test('a guest that is to arrive can touch nothing before it has', () => {
  const [block] = realPortableRam([PAGES]) as [RamBlock];
  const received = newReceivedPages([block]);
  expect(() => new RamAccess(block).ensure(0)).toThrow(/nobody brings it/);
  received.addRun(0, 0, PAGES);
  new RamAccess(block).ensure(0);
  expect(received.isComplete).toBe(true);
});

test('a store is noted for its page alone', () => {
  const [block] = realPortableRam([PAGES]) as [RamBlock];
  const access = new RamAccess(block);
  for (const page of [0, 31, 32, 69, 31]) access.wrote(page);
  const written = tableBitmap(block, (block.portable as PortableTables).written);
  expect(pagesIn(written)).toEqual([0, 31, 32, 69]);
});

test('blocks of two kinds, or of two allocations, are not one guest', () => {
  const [portable, other, watched] = [realPortableRam([1]), realPortableRam([1]), realRam([1])];
  const message = /must be of one allocateRam/;
  expect(() => memoryModeOf([...portable, ...watched])).toThrow(message);
  expect(() => memoryModeOf([...watched, ...portable])).toThrow(message);
  expect(() => memoryModeOf([...portable, ...other])).toThrow(message);
  expect(memoryModeOf(watched)).toBe('userfault');
  expect(() => new RamAccess(watched[0]!)).toThrow(/not portable memory/);
});

test('descriptors of portable memory go with it, once', () => {
  const ram = allocateRam([{ id: 'ram', byteLength: pageBytes }], 'anon', 'portable');
  const { missesReader, missesWriter } = ram.blocks[0]!.portable!;
  ram[Symbol.dispose]();
  for (const fd of [missesReader, missesWriter]) expect(() => closeDescriptor(fd)).toThrow(/EBADF/);
  ram[Symbol.dispose](); // would close what others have opened since
});
