import { checksumOf, FrameBatch, FrameType, writeBatch } from '@godwit/transport';
import { ContentRuns } from '../memory/content-runs.ts';
import { PageContent } from '../memory/page-content.ts';
import type { PageBitmap } from '../memory/page-bitmap.ts';
import type { PageSums } from '../memory/page-sums.ts';
import type { RamBlock } from '../memory/ram-block.ts';
import { CheckedCopies } from './checked-copies.ts';
import { COMPRESSED_RUN_BYTES, type RunCompressor } from './run-compressor.ts';

/** What a thread needs to know of the guest's memory; made of shared parts, one copy a thread. */
export interface PageTables {
  readonly blocks: readonly RamBlock[];
  /** Pages to be sent. */
  readonly dirty: readonly PageBitmap[];
  /** Pages that exist; the others are zero without being read. */
  readonly present: readonly PageBitmap[];
}

export interface PageBatchOptions {
  /** Asked before each claim: are pages that exist looked at, so that those of zeros are known? */
  readonly looksForZeros: () => boolean;
  /** Left out, pages leave as they are. */
  readonly compressor?: RunCompressor | undefined;
  /** With `x-checksum`: the frames are checked ones, and bodies are sent from copies. */
  readonly checks?: boolean;
  /** With `x-ram-digest`: what leaves is noted there. */
  readonly sums?: PageSums | undefined;
}

/** 1 MiB of 4 KiB pages: longer runs bring nothing, and a frame has a limit. */
const RUN_PAGES_MAX = 256;

/**
 * Frames of claimed pages on their way to one descriptor. A page is claimed by whoever clears its
 * dirty bit, and then must be added here and written: a claim that is not written is a lost page
 * until a recovery compares the bitmaps.
 */
export class PageBatch {
  normalPages = 0;
  zeroPages = 0;
  readonly #tables: PageTables;
  readonly #contents: readonly PageContent[];
  readonly #runs: readonly ContentRuns[];
  readonly #batch = new FrameBatch();
  readonly #looksForZeros: () => boolean;
  readonly #compressor: RunCompressor | undefined;
  readonly #copies: CheckedCopies | undefined;
  readonly #sums: PageSums | undefined;

  constructor(tables: PageTables, options: PageBatchOptions = { looksForZeros: () => true }) {
    this.#tables = tables;
    this.#looksForZeros = options.looksForZeros;
    this.#compressor = options.compressor;
    this.#sums = options.sums;
    this.#copies = options.checks === true ? new CheckedCopies() : undefined;
    this.#contents = tables.blocks.map((block) => new PageContent(block));
    this.#runs = this.#contents.map((contents) => new ContentRuns(contents));
  }

  get byteLength(): number {
    return this.#batch.byteLength;
  }

  get isFull(): boolean {
    return this.#batch.isFull || this.#compressor?.isFull === true || this.#copies?.isFull === true;
  }

  /**
   * Claims the dirty pages from `page` on that make one frame, at most `pagesMax`, and adds them.
   *
   * @returns the pages that are dealt with: 0 when somebody else took `page` meanwhile.
   */
  claim(block: number, page: number, pagesMax: number): number {
    const dirty = this.#tables.dirty[block] as PageBitmap;
    const present = this.#tables.present[block] as PageBitmap;
    if (!present.has(page)) {
      const limit = present.next(page);
      const taken = dirty.takeAhead(page, (limit < 0 ? dirty.pages : limit) - page);
      if (taken > 0) this.#addZero(block, page, taken);
      return taken;
    }
    const limit = this.#endOfRun(block, page, pagesMax);
    if (!this.#looksForZeros()) return this.#takePages(block, page, limit);
    const runs = this.#runs[block] as ContentRuns;
    // Looked at before the claim: a page that the guest writes meanwhile is in the dirty log.
    const zeros = runs.zeros(page, limit);
    if (zeros > 0) return this.#takeZeros(block, page, zeros);
    return this.#takePages(block, page, page + runs.others(page, limit));
  }

  /**
   * As `claim`, for pages of zeros alone: where `page` begins a run of others, these are passed over and
   * stay dirty.
   *
   * @returns the pages that are dealt with or passed over; 0 as in `claim`.
   */
  claimZeros(block: number, page: number, pagesMax: number): number {
    const present = this.#tables.present[block] as PageBitmap;
    if (!present.has(page)) return this.claim(block, page, pagesMax);
    const limit = this.#endOfRun(block, page, pagesMax);
    const runs = this.#runs[block] as ContentRuns;
    const zeros = runs.zeros(page, limit);
    return zeros > 0 ? this.#takeZeros(block, page, zeros) : runs.others(page, limit);
  }

  /** Adds one page that the caller has claimed itself; never compressed, since somebody may wait for it. */
  addClaimed(block: number, page: number): void {
    const present = this.#tables.present[block] as PageBitmap;
    const contents = this.#contents[block] as PageContent;
    const isZero = !present.has(page) || (this.#looksForZeros() && contents.isZero(page));
    if (isZero) return this.#addZero(block, page, 1);
    this.#sums?.noteMemory(block, page, 1);
    this.#addPages(block, page, 1);
  }

  /** @returns the bytes written. @throws {ChannelError} `ERR_CLOSED`: claimed pages are lost. */
  write(descriptor: number): number {
    const bytes = this.#batch.byteLength;
    if (bytes > 0) writeBatch(descriptor, this.#batch);
    this.#compressor?.clear();
    this.#copies?.clear();
    return bytes;
  }

  /** Forgets what was not written, for the next link. */
  clear(): void {
    this.#batch.clear();
    this.#compressor?.clear();
    this.#copies?.clear();
  }

  /** Where the dirty, present run that begins at `page` ends, at the latest. */
  #endOfRun(block: number, page: number, pagesMax: number): number {
    const dirty = this.#tables.dirty[block] as PageBitmap;
    const present = this.#tables.present[block] as PageBitmap;
    const end = Math.min(page + Math.min(pagesMax, this.#runPagesMax(block)), dirty.pages);
    const clean = dirty.nextClear(page + 1, end);
    const dirtyEnd = clean < 0 ? end : clean;
    const absent = present.nextClear(page + 1, dirtyEnd);
    return absent < 0 ? dirtyEnd : absent;
  }

  #runPagesMax(block: number): number {
    if (this.#compressor === undefined) return RUN_PAGES_MAX;
    const { pageBytes } = this.#tables.blocks[block] as RamBlock;
    return Math.max(1, COMPRESSED_RUN_BYTES / pageBytes);
  }

  #takeZeros(block: number, page: number, pages: number): number {
    const taken = (this.#tables.dirty[block] as PageBitmap).takeAhead(page, pages);
    if (taken > 0) this.#addZero(block, page, taken);
    return taken;
  }

  #takePages(block: number, page: number, end: number): number {
    const taken = (this.#tables.dirty[block] as PageBitmap).takeAhead(page, end - page);
    if (taken === 0) return 0;
    this.#sums?.noteMemory(block, page, taken);
    if (!this.#addCompressed(block, page, taken)) this.#addPages(block, page, taken);
    return taken;
  }

  #addCompressed(block: number, first: number, count: number): boolean {
    if (this.#compressor === undefined) return false;
    const { address, pageBytes } = this.#tables.blocks[block] as RamBlock;
    const run = this.#compressor.compress(address + first * pageBytes, count * pageBytes);
    if (run === undefined) return false;
    const { ZLIB_PAGES } = FrameType;
    const checksum = this.#copies === undefined ? undefined : checksumOf(run.bytes);
    this.#batch.add(ZLIB_PAGES, block, first, count, run.address, run.byteLength, checksum);
    this.normalPages += count;
    return true;
  }

  #addPages(block: number, first: number, count: number): void {
    const ram = this.#tables.blocks[block] as RamBlock;
    const bytes = count * ram.pageBytes;
    const address = ram.address + first * ram.pageBytes;
    const copy = this.#copies?.copy(address, bytes);
    const { PAGES } = FrameType;
    this.#batch.add(PAGES, block, first, count, copy?.address ?? address, bytes, copy?.checksum);
    this.normalPages += count;
  }

  #addZero(block: number, first: number, count: number): void {
    this.#sums?.noteZeros(block, first, count);
    const checksum = this.#copies === undefined ? undefined : 0;
    this.#batch.add(FrameType.ZERO, block, first, count, 0, 0, checksum);
    this.zeroPages += count;
  }
}
