import {
  closeDescriptor,
  dataRanges,
  Features,
  lockPages,
  openPagemap,
  PageCategory,
  PagemapScanner,
  RegisterMode,
  registerRange,
  unlockPages,
  unregisterRange,
} from '@godwit/posix';
import { MigrationError } from '../errors.ts';
import { openGuestUserfaultfd } from './guest-userfaultfd.ts';
import type { PageBitmap } from './page-bitmap.ts';
import type { RamBlock } from './ram-block.ts';

/** Knows which pages the guest has written since it was last asked. One thread uses it. */
export interface DirtyLog extends Disposable {
  /**
   * Adds to `dirty` and `present`, block by block, the pages written since the last call (the first
   * time: every page that exists) and notes writes anew, in one step: a page written meanwhile shows
   * up now or in the next call, never in neither. Pages that nobody ever touched are never reported.
   *
   * @returns how many pages were new in `dirty`.
   */
  sync(dirty: readonly PageBitmap[], present: readonly PageBitmap[]): number;

  /**
   * As `sync`, but writes are not noted anew: of a page that is told, later writes are not. So it is for
   * pages that are not sent any more while the guest runs here. It costs a fraction: to protect a page
   * takes longer than to find it, by far where a hypervisor watches the page tables.
   */
  collect(dirty: readonly PageBitmap[], present: readonly PageBitmap[]): number;

  /** How many pages a sync would find now; nothing changes. */
  writtenPages(): number;
}

const REGIONS_PER_SCAN = 4096;

/** What is locked in one system call: of a file on a disk all of it is read. */
const LOCK_BYTES = 16 * 1024 * 1024;

/**
 * The kernel write-protects pages and lifts the protection by itself at the first write (userfaultfd,
 * WP_ASYNC); PAGEMAP_SCAN tells which and protects them again.
 *
 * @see Linux admin-guide/mm/pagemap, PAGEMAP_SCAN; QEMU migration/ram.c, migration_bitmap_sync.
 */
export class PagemapDirtyLog implements DirtyLog {
  readonly #blocks: readonly RamBlock[];
  readonly #userfaultfd: number;
  readonly #pagemap: number;
  #synced = false;
  readonly #scanner = new PagemapScanner(REGIONS_PER_SCAN);

  /**
   * @param between called now and then while it is opened, which may take long.
   * @throws {SystemError} where the kernel lacks WP_ASYNC or refuses userfaultfd.
   */
  constructor(blocks: readonly RamBlock[], between: () => void = () => undefined) {
    this.#blocks = blocks;
    this.#pagemap = openPagemap();
    try {
      lockFiles(blocks, between);
      this.#userfaultfd = openProtecting(blocks);
    } catch (error) {
      unlockFiles(blocks);
      closeDescriptor(this.#pagemap);
      throw error;
    }
  }

  sync(dirty: readonly PageBitmap[], present: readonly PageBitmap[]): number {
    const added = this.#synced ? 0 : this.#addFilePages(dirty, present);
    this.#synced = true;
    return added + this.#addWritten(dirty, present, true);
  }

  collect(dirty: readonly PageBitmap[], present: readonly PageBitmap[]): number {
    return this.#addWritten(dirty, present, false);
  }

  writtenPages(): number {
    let pages = 0;
    this.#scan(false, (_block, _first, count) => {
      pages += count;
    });
    return pages;
  }

  /** Lifts all protection; the pages keep their content. */
  [Symbol.dispose](): void {
    for (const block of this.#blocks) {
      unregisterRange(this.#userfaultfd, block.address, block.byteLength);
    }
    closeDescriptor(this.#userfaultfd);
    closeDescriptor(this.#pagemap);
    unlockFiles(this.#blocks);
  }

  /** Pages that left memory before we watched exist all the same: the file knows them. */
  #addFilePages(dirty: readonly PageBitmap[], present: readonly PageBitmap[]): number {
    let added = 0;
    for (const [index, block] of this.#blocks.entries()) {
      if (block.descriptor === undefined) continue;
      for (const [start, end] of dataRanges(block.descriptor, block.byteLength)) {
        const first = Math.floor(start / block.pageBytes);
        const count = Math.ceil(end / block.pageBytes) - first;
        added += (dirty[index] as PageBitmap).addRun(first, count);
        (present[index] as PageBitmap).addRun(first, count);
      }
    }
    return added;
  }

  #addWritten(
    dirty: readonly PageBitmap[],
    present: readonly PageBitmap[],
    writeProtect: boolean,
  ): number {
    let added = 0;
    this.#scan(writeProtect, (block, first, count, isZero) => {
      added += (dirty[block] as PageBitmap).addRun(first, count);
      if (!isZero) (present[block] as PageBitmap).addRun(first, count);
    });
    return added;
  }

  #scan(
    writeProtect: boolean,
    found: (block: number, first: number, count: number, isZero: boolean) => void,
  ): void {
    const query = {
      writeProtect,
      categoryMask: PageCategory.WRITTEN,
      // Without this the kernel takes a shorter way that reports untouched pages as written.
      categoryAnyOf: PageCategory.PRESENT | PageCategory.SWAPPED,
      returnMask: PageCategory.WRITTEN | PageCategory.PFNZERO,
    };
    for (const [index, { address, byteLength, pageBytes }] of this.#blocks.entries()) {
      const end = address + byteLength;
      for (let start = address; start < end; start = this.#scanner.walkEnd) {
        const regions = this.#scanner.scan(this.#pagemap, start, end, query);
        for (let i = 0; i < regions; i++) {
          const first = (this.#scanner.regionStart(i) - address) / pageBytes;
          const limit = (this.#scanner.regionEnd(i) - address) / pageBytes;
          const isZero = (this.#scanner.regionCategories(i) & PageCategory.PFNZERO) !== 0;
          found(index, first, limit - first, isZero);
        }
      }
    }
  }
}

function openProtecting(blocks: readonly RamBlock[]): number {
  const userfaultfd = openGuestUserfaultfd(
    Features.WP_ASYNC | Features.WP_UNPOPULATED | Features.WP_HUGETLBFS_SHMEM,
  );
  try {
    for (const block of blocks) {
      registerRange(userfaultfd, block.address, block.byteLength, RegisterMode.WP);
    }
    return userfaultfd;
  } catch (error) {
    closeDescriptor(userfaultfd); // lifts what was protected before
    throw error;
  }
}

/**
 * The kernel forgets what it knew of a page of a file when it takes the page out of memory, that it
 * was written included: so none may leave while we ask.
 *
 * @throws {MigrationError} `ERR_SETUP`: the host does not let us.
 */
function lockFiles(blocks: readonly RamBlock[], between: () => void): void {
  for (const block of blocks) {
    if (block.descriptor === undefined) continue;
    for (let at = 0; at < block.byteLength; at += LOCK_BYTES) {
      lockPart(block, at);
      between();
    }
  }
}

function lockPart({ id, address, byteLength }: RamBlock, at: number): void {
  try {
    lockPages(address + at, Math.min(LOCK_BYTES, byteLength - at));
  } catch (cause) {
    const why = `${(cause as Error).message}; raise RLIMIT_MEMLOCK (ulimit -l)`;
    const message = `RAM block '${id}' cannot be kept in memory while it is migrated: ${why}`;
    throw new MigrationError('ERR_SETUP', message, { cause });
  }
}

function unlockFiles(blocks: readonly RamBlock[]): void {
  for (const { address, byteLength, descriptor } of blocks) {
    if (descriptor !== undefined) unlockPages(address, byteLength);
  }
}
