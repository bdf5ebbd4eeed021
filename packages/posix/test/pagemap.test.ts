import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { pageBytes } from '../src/mmap.ts';
import { PageCategory, type PagemapQuery, PagemapScanner, openPagemap } from '../src/pagemap.ts';
import { probeHost } from '../src/probe.ts';
import { Features, RegisterMode, registerRange } from '../src/userfaultfd.ts';
import { type Mapping, anonymous, memfd, openUffd, owned, shared } from './resources.ts';

beforeEach((context) => {
  const { wpAsync } = probeHost();
  if (!wpAsync.available) context.skip(wpAsync.reason);
});

const PAGES = 64;
const { WRITTEN, PRESENT, SWAPPED, PFNZERO, WPALLOWED, FILE } = PageCategory;

const kinds: Record<string, () => Mapping> = {
  'anonymous memory': () => anonymous(PAGES * pageBytes),
  'a file in memory': () => shared(memfd(PAGES * pageBytes), PAGES * pageBytes),
};

/** Takes the pages written since the last time, and protects them again. */
const takeWritten: PagemapQuery = {
  writeProtect: true,
  categoryMask: WRITTEN,
  categoryAnyOf: PRESENT | SWAPPED,
  returnMask: WRITTEN,
};

function trackWrites(memory: Mapping): number {
  const features = Features.WP_ASYNC | Features.WP_UNPOPULATED | Features.WP_HUGETLBFS_SHMEM;
  const uffd = openUffd(features);
  registerRange(uffd, memory.address, PAGES * pageBytes, RegisterMode.WP);
  return uffd;
}

/** Every page a query finds, as indices, through a scanner as small as it may be. */
function pagesFound(memory: Mapping, query: PagemapQuery, capacity = 2): number[] {
  const pagemap = owned(openPagemap());
  const scanner = new PagemapScanner(capacity);
  const end = memory.address + PAGES * pageBytes;
  const pages: number[] = [];
  for (let start = memory.address; start < end; start = scanner.walkEnd) {
    const regions = scanner.scan(pagemap, start, end, query);
    for (let index = 0; index < regions; index += 1) {
      const after = scanner.regionEnd(index);
      for (let page = scanner.regionStart(index); page < after; page += pageBytes) {
        pages.push((page - memory.address) / pageBytes);
      }
    }
  }
  return pages;
}

const someIndices = fc.uniqueArray(fc.nat(PAGES - 1));

for (const [kind, create] of Object.entries(kinds)) {
  test(`exactly the pages of ${kind} written since the last scan are found`, () => {
    const memory = create();
    trackWrites(memory);
    // The first scan protects what is there; pages never touched count as written until then.
    pagesFound(memory, { ...takeWritten, categoryAnyOf: 0 });
    fc.assert(
      fc.property(someIndices, fc.integer({ min: 1, max: 8 }), (indices, capacity) => {
        for (const index of indices) memory.bytes[index * pageBytes + index] = 1;
        const expected = indices.toSorted((a, b) => a - b);
        expect(pagesFound(memory, takeWritten, capacity)).toEqual(expected);
        expect(pagesFound(memory, takeWritten, capacity)).toEqual([]);
      }),
      { numRuns: 50 },
    );
  });

  test(`pages of ${kind} that were never touched are not found among those that exist`, () => {
    const memory = create();
    trackWrites(memory);
    for (const index of [3, 4, 60]) memory.bytes[index * pageBytes] = 1;
    expect(pagesFound(memory, takeWritten)).toEqual([3, 4, 60]);
    expect(pagesFound(memory, takeWritten)).toEqual([]);
  });

  test(`reading ${kind} is not writing it`, () => {
    const memory = create();
    memory.bytes.fill(1);
    trackWrites(memory);
    pagesFound(memory, takeWritten);
    expect(memory.bytes.every((byte) => byte === 1)).toBe(true);
    expect(pagesFound(memory, takeWritten)).toEqual([]);
  });
}

test('a scan that does not protect finds the same again', () => {
  const memory = anonymous(PAGES * pageBytes);
  trackWrites(memory);
  memory.bytes[0] = 1;
  const look = { ...takeWritten, writeProtect: false };
  expect(pagesFound(memory, look)).toEqual([0]);
  expect(pagesFound(memory, look)).toEqual([0]);
});

test('categories are told of each region, and pages that differ in them are apart', () => {
  const memory = anonymous(PAGES * pageBytes);
  trackWrites(memory);
  memory.bytes[0] = 1; // a page of its own
  expect(memory.bytes[pageBytes]).toBe(0); // read: the kernel's page of zeros, where it has one
  const zero = probeHost().zeroPage.available ? PFNZERO : 0;
  expect(pagesFound(memory, takeWritten)).toEqual([0, 1]); // protected from here on
  memory.bytes[0] = 2;
  const pagemap = owned(openPagemap());
  const scanner = new PagemapScanner(4);
  const regions = scanner.scan(pagemap, memory.address, memory.address + PAGES * pageBytes, {
    writeProtect: false,
    categoryMask: PRESENT,
    categoryAnyOf: 0,
    returnMask: PRESENT | WRITTEN | PFNZERO | WPALLOWED | FILE,
  });
  expect(regions).toBe(2);
  expect(scanner.regionCategories(0)).toBe(PRESENT | WRITTEN | WPALLOWED);
  expect(scanner.regionCategories(1)).toBe(PRESENT | WPALLOWED | zero);
  expect(scanner.regionStart(1)).toBe(memory.address + pageBytes);
  expect(scanner.regionEnd(1)).toBe(memory.address + 2 * pageBytes);
});

test('an inverted category asks for the pages that are not so', () => {
  const memory = anonymous(PAGES * pageBytes);
  for (let index = 1; index < PAGES; index += 1) memory.bytes[index * pageBytes] = 1;
  const absent = {
    writeProtect: false,
    categoryMask: PRESENT,
    categoryInverted: PRESENT,
    categoryAnyOf: 0,
    returnMask: PRESENT,
  };
  expect(pagesFound(memory, absent)).toEqual([0]);
});

test('memory without write tracking cannot be protected, and says so', () => {
  const memory = anonymous(PAGES * pageBytes);
  memory.bytes.fill(1);
  expect(() => pagesFound(memory, takeWritten)).toThrow(
    expect.objectContaining({ code: 'EPERM', syscall: 'ioctl PAGEMAP_SCAN' }),
  );
});

test('a descriptor that is no pagemap is refused', () => {
  const scanner = new PagemapScanner(1);
  expect(() => scanner.scan(memfd(0), 0, pageBytes, takeWritten)).toThrow(
    expect.objectContaining({ code: 'ENOTTY' }),
  );
});
