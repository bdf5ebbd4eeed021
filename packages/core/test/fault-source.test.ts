import {
  CopyMode,
  FaultReader,
  NativeBuffer,
  pageBytes,
  POLLIN,
  PollSet,
  probeHost,
  tryCopyPages,
} from '@godwit/posix';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import {
  closeFaultSource,
  openFaultSource,
  placePages,
  placeZeroPages,
  unwatchMissing,
  watchMissing,
} from '../src/memory/fault-source.ts';
import { makeMissing } from '../src/memory/guest-ram.ts';
import { PageBitmap } from '../src/memory/page-bitmap.ts';
import type { RamBlock } from '../src/memory/ram-block.ts';
import { inWorker } from './in-worker.ts';
import { backings, bytesOf, pageOf, realRam } from './real-ram.ts';

beforeEach((context) => {
  const { userfaultfd } = probeHost();
  if (!userfaultfd.available) context.skip(userfaultfd.reason);
});

/*
 * A missing page must not be touched here: nobody serves this thread, so it would wait for ever.
 * Workers touch them.
 */

const PAGES = 6;
/** The kernel has no missing pages for files on disk. */
const kinds = Object.entries(backings).filter(([kind]) => kind !== 'a file on disk');

/** A block whose pages are all missing, and pages of 1, 2, 3 … to place. */
function missingRam(newBacking = backings['anonymous memory']) {
  const [block] = realRam([PAGES], newBacking?.()) as [RamBlock];
  makeMissing(block, new PageBitmap(block.byteLength / block.pageBytes));
  const userfaultfd = openFaultSource([]);
  onTestFinished(() => closeFaultSource(userfaultfd, [])); // also lets a thread go on that still waits
  watchMissing(userfaultfd, [block]);
  const source = new NativeBuffer(PAGES * pageBytes);
  onTestFinished(() => source[Symbol.dispose]());
  for (let page = 0; page < PAGES; page += 1) {
    source.bytes.fill(page + 1, page * pageBytes, (page + 1) * pageBytes);
  }
  const place = (first: number, count: number): number => {
    const [to, from] = [block.address, source.address].map((it) => it + first * pageBytes);
    return placePages(userfaultfd, to ?? 0, from ?? 0, count * pageBytes, pageBytes);
  };
  const placeZeros = (first: number, count: number): number => {
    const to = block.address + first * pageBytes;
    return placeZeroPages(userfaultfd, to, count * pageBytes, pageBytes);
  };
  return { block, userfaultfd, source, place, placeZeros };
}

/** A byte of each page; none may be missing. */
function firstBytes(block: RamBlock): number[] {
  return Array.from({ length: PAGES }, (_, page) => pageOf(block, page)[0] ?? -1);
}

/** Another thread reads the first byte of a page, and tells when it is about to. */
function readElsewhere(block: RamBlock, page: number) {
  return inWorker({
    data: block.address + page * pageBytes,
    body: `
      const bytes = new Uint8Array(lib.viewMemory(data, 1));
      tell('reading');
      return bytes[0];`,
  });
}

/** Waits for the next fault, at most ten seconds. @returns the page; -1 when none came. */
function awaitFault(userfaultfd: number, block: RamBlock): number {
  const set = new PollSet(1);
  set.set(0, userfaultfd, POLLIN);
  set.poll(10_000, 1);
  const faults = new FaultReader(1);
  return faults.read(userfaultfd) === 1 ? (faults.address(0) - block.address) / pageBytes : -1;
}

for (const [kind, newBacking] of kinds) {
  test(`pages placed in ${kind} are there, and none was before`, () => {
    const { block, place, placeZeros } = missingRam(newBacking);
    expect(place(0, 3)).toBe(0);
    expect(placeZeros(3, 2)).toBe(0);
    expect(place(5, 1)).toBe(0);
    expect(firstBytes(block)).toEqual([1, 2, 3, 0, 0, 6]);
    expect(pageOf(block, 2).every((byte) => byte === 3)).toBe(true);
  });

  test(`pages that are in ${kind} already are counted and left as they are`, () => {
    const { block, place, placeZeros } = missingRam(newBacking);
    place(1, 1);
    placeZeros(4, 1);
    pageOf(block, 1)[0] = 77; // the guest goes on with what it has
    expect(place(0, PAGES)).toBe(2);
    expect(firstBytes(block)).toEqual([1, 77, 3, 4, 0, 6]);
    expect(place(0, PAGES)).toBe(PAGES);
    expect(placeZeros(0, PAGES)).toBe(PAGES);
    expect(firstBytes(block)).toEqual([1, 77, 3, 4, 0, 6]);
  });

  test(`zeros placed in ${kind} leave the pages between them`, () => {
    const { block, place, placeZeros } = missingRam(newBacking);
    place(2, 2);
    expect(placeZeros(0, PAGES)).toBe(2);
    expect(firstBytes(block)).toEqual([0, 0, 3, 4, 0, 0]);
    pageOf(block, 0)[0] = 5; // a page of zeros is the guest's to write
    expect(firstBytes(block)).toEqual([5, 0, 3, 4, 0, 0]);
  });

  test(`a thread that reads a missing page of ${kind} waits and finds what is placed`, async () => {
    const { block, userfaultfd, place } = missingRam(newBacking);
    const { answer } = readElsewhere(block, 4);
    expect(awaitFault(userfaultfd, block)).toBe(4);
    place(0, 4);
    place(4, 1);
    expect(await answer).toBe(5);
  });

  test(`a thread that reads a missing page of ${kind} finds zeros where they are placed`, async () => {
    const { block, userfaultfd, placeZeros } = missingRam(newBacking);
    const { answer } = readElsewhere(block, 2);
    expect(awaitFault(userfaultfd, block)).toBe(2);
    placeZeros(2, 1);
    expect(await answer).toBe(0);
  });

  test(`a page of ${kind} that nobody watches any more reads as zero and waits for nobody`, async () => {
    const { block, userfaultfd, place } = missingRam(newBacking);
    place(0, 1);
    unwatchMissing(userfaultfd, [block]);
    expect(await readElsewhere(block, 3).answer).toBe(0);
    expect(await readElsewhere(block, 0).answer).toBe(1);
  });
}

test('a thread that waits for a page that came without waking it is woken by the next copy', async () => {
  for (const kind of ['content', 'zeros'] as const) {
    const { block, userfaultfd, source, place, placeZeros } = missingRam();
    const { answer } = readElsewhere(block, 3);
    expect(awaitFault(userfaultfd, block)).toBe(3);
    const to = block.address + 3 * pageBytes;
    tryCopyPages(userfaultfd, to, source.address, pageBytes, CopyMode.DONTWAKE);
    expect(kind === 'content' ? place(3, 1) : placeZeros(3, 1)).toBe(1);
    expect(await answer).toBe(1);
  }
});

test('two threads that place the same pages leave each page whole and count it once', async () => {
  const { block, userfaultfd, source } = missingRam();
  const data = { userfaultfd, block, source: source.address, pageBytes };
  const body = `
    const { userfaultfd, block, source, pageBytes } = data;
    return lib.placePages(userfaultfd, block.address, source, block.byteLength, pageBytes);`;
  const run = () => inWorker({ modules: ['memory/fault-source'], data, body }).answer;
  const [one, other] = await Promise.all([run(), run()]);
  expect(Number(one) + Number(other)).toBe(PAGES);
  expect(bytesOf(block)).toEqual(source.bytes);
});

test('a mapping that is not watched is an error and not a lost page', () => {
  const { userfaultfd, source } = missingRam();
  const [other] = realRam([1]) as [RamBlock];
  expect(() =>
    placePages(userfaultfd, other.address, source.address, pageBytes, pageBytes),
  ).toThrow(expect.objectContaining({ code: 'ENOENT', syscall: 'ioctl UFFDIO_COPY' }));
  expect(() => placeZeroPages(userfaultfd, other.address, pageBytes, pageBytes)).toThrow(
    expect.objectContaining({ code: 'ENOENT', syscall: 'ioctl UFFDIO_ZEROPAGE' }),
  );
});

test('memory that is watched already cannot be watched by another', () => {
  const { block } = missingRam();
  const second = openFaultSource([]);
  onTestFinished(() => closeFaultSource(second, []));
  expect(() => watchMissing(second, [block])).toThrow(expect.objectContaining({ code: 'EBUSY' }));
});

test('every block that is given is watched', async () => {
  const blocks = realRam([2, 2]);
  const userfaultfd = openFaultSource([]);
  onTestFinished(() => closeFaultSource(userfaultfd, []));
  watchMissing(userfaultfd, blocks);
  for (const block of blocks) {
    const { answer } = readElsewhere(block, 1);
    expect(awaitFault(userfaultfd, block)).toBe(1);
    placeZeroPages(userfaultfd, block.address + pageBytes, pageBytes, pageBytes);
    expect(await answer).toBe(0);
  }
});
