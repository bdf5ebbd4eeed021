import assert from 'node:assert/strict';
import { openFile } from './io.ts';
import { checkIoctl, ioctlNumber } from './ioctl.ts';
import { StructMemory, layoutU64 } from './struct-memory.ts';

const O_RDONLY = 0;
const ARGUMENT_BYTES = 96;
const REGION_BYTES = 24;
export const PAGEMAP_SCAN = ioctlNumber.readWrite(0x66 /* 'f' */, 16, ARGUMENT_BYTES);
const PM_SCAN_WP_MATCHING = 1;
const PM_SCAN_CHECK_WPASYNC = 2;

/** `struct pm_scan_arg` of <linux/fs.h>. */
const argument = layoutU64(ARGUMENT_BYTES, [
  'size',
  'flags',
  'start',
  'end',
  'walkEnd',
  'regions',
  'regionCapacity',
  'pagesMax',
  'categoryInverted',
  'categoryMask',
  'categoryAnyOf',
  'returnMask',
]);
const region = layoutU64(REGION_BYTES, ['start', 'end', 'categories']);

/** What a page can be; bits. @see Linux admin-guide/mm/pagemap, PAGEMAP_SCAN */
export const PageCategory = {
  /** In a range registered with `RegisterMode.WP` on a userfaultfd with `Features.WP_ASYNC`. */
  WPALLOWED: 1 << 0,
  /** Not write-protected: written since it last was. True also of pages of no such range. */
  WRITTEN: 1 << 1,
  FILE: 1 << 2,
  PRESENT: 1 << 3,
  SWAPPED: 1 << 4,
  /** The kernel's page of zeros: read, never written. */
  PFNZERO: 1 << 5,
  HUGE: 1 << 6,
  SOFT_DIRTY: 1 << 7,
} as const;

/** Which pages a scan reports; masks of `PageCategory`. */
export interface PagemapQuery {
  /**
   * Write-protect the pages as they are reported, in one step with looking at them: a write
   * meanwhile shows up in this scan or in the next, never in neither.
   */
  readonly writeProtect: boolean;
  /** A page must be all of these, after inversion. */
  readonly categoryMask: number;
  /** A page must be one of these, after inversion; 0 asks nothing. */
  readonly categoryAnyOf: number;
  /** Categories to take as their opposite. */
  readonly categoryInverted?: number;
  /** What is told of each region; pages side by side that are the same in it are one region. */
  readonly returnMask: number;
}

/** This process's own page tables. @throws {SystemError} `EACCES`, `ENOENT` without /proc. */
export function openPagemap(): number {
  return openFile('/proc/self/pagemap', O_RDONLY);
}

/** Finds pages by what they are; its regions are valid until the next `scan`. */
export class PagemapScanner {
  readonly regionCapacity: number;
  readonly #argument = new StructMemory(ARGUMENT_BYTES);
  readonly #regions: StructMemory;

  constructor(regionCapacity: number) {
    assert.ok(regionCapacity > 0);
    this.regionCapacity = regionCapacity;
    this.#regions = new StructMemory(regionCapacity * REGION_BYTES);
  }

  /**
   * Scans from `start` to `end`, or until the regions are full: then `walkEnd` is less than `end`,
   * and the next scan starts there.
   *
   * @returns the number of regions.
   * @throws {SystemError} `EPERM`: to be write-protected, but not such a range (see `WPALLOWED`);
   *   what came before it is protected already. `ENOTTY`: a kernel before 6.7. `EINVAL`: not whole
   *   pages, or a category it does not know.
   */
  scan(fd: number, start: number, end: number, query: PagemapQuery): number {
    const memory = this.#argument;
    const flags = query.writeProtect ? PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC : 0;
    memory.writeU64(argument.size, ARGUMENT_BYTES);
    memory.writeU64(argument.flags, flags);
    memory.writeU64(argument.start, start);
    memory.writeU64(argument.end, end);
    memory.writeU64(argument.walkEnd, start);
    memory.writeU64(argument.regions, this.#regions.address);
    memory.writeU64(argument.regionCapacity, this.regionCapacity);
    memory.writeU64(argument.pagesMax, 0); // no limit
    memory.writeU64(argument.categoryInverted, query.categoryInverted ?? 0);
    memory.writeU64(argument.categoryMask, query.categoryMask);
    memory.writeU64(argument.categoryAnyOf, query.categoryAnyOf);
    memory.writeU64(argument.returnMask, query.returnMask);
    return checkIoctl('ioctl PAGEMAP_SCAN', fd, PAGEMAP_SCAN, memory.address);
  }

  /** Where the last scan stopped. */
  get walkEnd(): number {
    return this.#argument.readU64(argument.walkEnd);
  }

  regionStart(index: number): number {
    return this.#regions.readU64(index * REGION_BYTES + region.start);
  }

  /** The address after the region. */
  regionEnd(index: number): number {
    return this.#regions.readU64(index * REGION_BYTES + region.end);
  }

  /** The bits of `returnMask` that hold for every page of the region. */
  regionCategories(index: number): number {
    return this.#regions.readU64(index * REGION_BYTES + region.categories);
  }
}
