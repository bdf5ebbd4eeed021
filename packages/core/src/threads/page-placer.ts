import type { FrameHeader, FrameReader } from '@godwit/transport';
import { type FaultLedger, settleRun } from '../memory/fault-ledger.ts';
import { placePages, placeZeroPages } from '../memory/fault-source.ts';
import type { PageBitmap } from '../memory/page-bitmap.ts';
import type { RamBlock } from '../memory/ram-block.ts';
import type { ReceivedPages } from '../memory/received-pages.ts';
import type { ReceiverCounters } from './counters.ts';
import type { PlacingGate } from './placing-gate.ts';

/** What is known of the guest's memory and of those who wait for it; shared with other threads. */
export interface PlacerTables {
  readonly blocks: readonly RamBlock[];
  readonly received: ReceivedPages;
  readonly requested: readonly PageBitmap[];
  readonly ledger: FaultLedger;
  readonly counters: ReceiverCounters;
  readonly gate: PlacingGate;
}

/** Who waits for one page of a range is woken when all of it is placed. */
const PLACED_PAGES_MAX = 64;

/**
 * Places pages under a guest that may wait for them. A page is placed before anything is noted about
 * it, so that nobody waits for the bookkeeping.
 */
export class PagePlacer {
  readonly #tables: PlacerTables;
  readonly #pageBytes: number;
  readonly #onComplete: () => void;

  /** @param onComplete every page of every block is received; called once, by one thread. */
  constructor(tables: PlacerTables, onComplete: () => void) {
    this.#tables = tables;
    this.#pageBytes = tables.blocks[0]?.pageBytes ?? 4096;
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
      this.#placeStaged(block, page, pages, source);
      reader.consume(pages * pageBytes);
      page += pages;
    }
    this.#tables.counters.add('normalPages', reader.header.pageCount);
  }

  /** Places a run that lies whole in memory of ours. */
  placeCopyOf(header: FrameHeader, source: number): void {
    const { block, firstPage, pageCount } = header;
    for (let done = 0; done < pageCount; done += PLACED_PAGES_MAX) {
      const pages = Math.min(pageCount - done, PLACED_PAGES_MAX);
      this.#placeStaged(block, firstPage + done, pages, source + done * this.#pageBytes);
    }
    this.#tables.counters.add('normalPages', pageCount);
  }

  /**
   * Received and not there means zero: nothing is placed but what somebody waits for, however long the
   * run. Whoever touches a page later is served by the fault thread, from here.
   */
  placeZeroRun(header: FrameHeader): void {
    const { block, firstPage, pageCount } = header;
    const { received, requested, ledger, counters } = this.#tables;
    counters.add('zeroPages', pageCount);
    const end = firstPage + pageCount;
    const wanted = requested[block] as PageBitmap;
    const isNowComplete = received.addRun(block, firstPage, pageCount);
    for (let page = wanted.next(firstPage, end); page >= 0; page = wanted.next(page + 1, end)) {
      const address = this.#addressOf(block, page);
      placeZeroPages(this.#userfaultfd, address, this.#pageBytes, this.#pageBytes);
    }
    settleRun(ledger, wanted, block, firstPage, pageCount);
    if (isNowComplete) this.#onComplete();
  }

  /** What is received already is left alone: the guest may have written it since. */
  #placeStaged(block: number, first: number, count: number, source: number): void {
    const pageBytes = this.#pageBytes;
    const { received, counters } = this.#tables;
    const bitmap = received.bitmaps[block] as PageBitmap;
    const end = first + count;
    for (let page = first; page < end;) {
      const known = bitmap.next(page, end);
      const runEnd = known < 0 ? end : known;
      if (runEnd > page) {
        const from = source + (page - first) * pageBytes;
        this.#placeMissing(block, page, runEnd - page, from);
      }
      if (known < 0) return;
      const clear = bitmap.nextClear(known, end);
      page = clear < 0 ? end : clear;
      counters.add('duplicatePages', page - known);
    }
  }

  #placeMissing(block: number, first: number, count: number, source: number): void {
    const address = this.#addressOf(block, first);
    const bytes = count * this.#pageBytes;
    let duplicates = 0;
    try {
      duplicates = placePages(this.#userfaultfd, address, source, bytes, this.#pageBytes);
    } catch (error) {
      if (count === 1) throw error;
      return this.#placeSingly(block, first, count, source);
    }
    this.#add(block, first, count);
    this.#tables.counters.add('duplicatePages', duplicates);
  }

  /**
   * A run that failed, for memory may have run out within it. What was in place by then the guest may have
   * stored to; if it did not count as received, who takes the guest up from a journal would throw it away.
   */
  #placeSingly(block: number, first: number, count: number, source: number): void {
    for (let at = 0; at < count; at++) {
      this.#placeMissing(block, first + at, 1, source + at * this.#pageBytes);
    }
  }

  /** After the content is in place, never before. */
  #add(block: number, first: number, count: number): void {
    const { received, requested, ledger } = this.#tables;
    const isNowComplete = received.addRun(block, first, count);
    settleRun(ledger, requested[block] as PageBitmap, block, first, count);
    if (isNowComplete) this.#onComplete();
  }

  get #userfaultfd(): number {
    return this.#tables.gate.userfaultfd;
  }

  #addressOf(block: number, page: number): number {
    return (this.#tables.blocks[block] as RamBlock).address + page * this.#pageBytes;
  }
}
