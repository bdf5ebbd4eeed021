import { copyMemory } from '@godwit/posix';
import type { FrameHeader, FrameReader } from '@godwit/transport';
import { settleRun } from '../memory/fault-ledger.ts';
import type { PageBitmap } from '../memory/page-bitmap.ts';
import { tableBitmap } from '../memory/portable-ram.ts';
import type { PortableTables } from '../memory/portable-tables.ts';
import type { RamBlock } from '../memory/ram-block.ts';
import type { PlacerTables } from './page-placer.ts';

/** Who waits for one page of a range is woken when all of it is placed. */
const PLACED_PAGES_MAX = 64;

/**
 * Places pages as `PagePlacer` does, under a guest that asks before it touches one. What the kernel does
 * there in one step takes an order here: who clears a page's missing bit, and nobody else, copies its
 * content, then sets its received bit, then wakes who waits for it. So a page that arrives twice is never
 * written over what the guest has stored since, and none is seen half.
 *
 * Between the first step and the last nothing can fail: the whole content is here before the first.
 */
export class PortablePlacer {
  readonly #tables: PlacerTables;
  readonly #missing: readonly PageBitmap[];
  readonly #written: readonly PageBitmap[];
  readonly #receivedWords: readonly Int32Array[];
  readonly #pageBytes: number;
  readonly #onComplete: () => void;

  /** As of `PagePlacer`. */
  constructor(tables: PlacerTables, onComplete: () => void) {
    const portable = ({ portable: known }: RamBlock): PortableTables => known as PortableTables;
    const { blocks } = tables;
    this.#tables = tables;
    this.#missing = blocks.map((block) => tableBitmap(block, portable(block).missing));
    this.#written = blocks.map((block) => tableBitmap(block, portable(block).written));
    this.#receivedWords = blocks.map((block) => new Int32Array(portable(block).received));
    this.#pageBytes = blocks[0]?.pageBytes ?? 4096;
    this.#onComplete = onComplete;
  }

  /** Places pages as they come off the wire: a page is placed whole or not at all. */
  placeRun(reader: FrameReader): void {
    const pageBytes = this.#pageBytes;
    const { block } = reader.header;
    let page = reader.header.firstPage;
    while (reader.bodyBytesLeft > 0) {
      const source = reader.stage(pageBytes);
      const bytes = Math.min(reader.stagedBytes, reader.bodyBytesLeft);
      const pages = Math.min(Math.floor(bytes / pageBytes), PLACED_PAGES_MAX);
      this.#place(block, page, pages, source);
      reader.consume(pages * pageBytes);
      page += pages;
    }
    this.#tables.counters.add('normalPages', reader.header.pageCount);
  }

  /** Places a run that lies whole in memory of ours. */
  placeCopyOf({ block, firstPage, pageCount }: FrameHeader, source: number): void {
    for (let done = 0; done < pageCount; done += PLACED_PAGES_MAX) {
      const pages = Math.min(pageCount - done, PLACED_PAGES_MAX);
      this.#place(block, firstPage + done, pages, source + done * this.#pageBytes);
    }
    this.#tables.counters.add('normalPages', pageCount);
  }

  /** What is missing is zero already: it was thrown away, and the guest has not touched it since. */
  placeZeroRun({ block, firstPage, pageCount }: FrameHeader): void {
    this.#tables.counters.add('zeroPages', pageCount);
    this.#place(block, firstPage, pageCount, undefined);
  }

  /** @param source of the first page's content; none: zeros. */
  #place(block: number, first: number, count: number, source: number | undefined): void {
    const missing = this.#missing[block] as PageBitmap;
    const end = first + count;
    let placed = 0;
    for (let page = missing.next(first, end); page >= 0; page = missing.next(page, end)) {
      const run = missing.takeAhead(page, end - page);
      if (source !== undefined && run > 0) {
        this.#copy(block, page, run, source + (page - first) * this.#pageBytes);
      }
      this.#received(block, page, run);
      placed += run;
      page += run;
    }
    if (source !== undefined) this.#tables.counters.add('duplicatePages', count - placed);
  }

  /** The copy is a store to guest memory like any other, for the next migration of the guest. */
  #copy(block: number, first: number, count: number, source: number): void {
    const bytes = count * this.#pageBytes;
    const { address } = this.#tables.blocks[block] as RamBlock;
    copyMemory(address + first * this.#pageBytes, source, bytes);
    (this.#written[block] as PageBitmap).addRun(first, count);
  }

  #received(block: number, first: number, count: number): void {
    if (count === 0) return; // somebody else has just begun with it
    const { received, requested, ledger } = this.#tables;
    const isNowComplete = received.addRun(block, first, count);
    const words = this.#receivedWords[block] as Int32Array;
    const last = (first + count - 1) >>> 5;
    for (let word = first >>> 5; word <= last; word++) Atomics.notify(words, word);
    settleRun(ledger, requested[block] as PageBitmap, block, first, count);
    if (isNowComplete) this.#onComplete();
  }
}
