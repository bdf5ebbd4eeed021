import { POLLIN, POLLOUT, PollSet } from '@godwit/posix';
import { type FrameHeader, type FrameLimits, isRunInside } from '@godwit/transport';
import type { PageBitmap } from '../memory/page-bitmap.ts';
import type { ReturnPathCounters } from './counters.ts';
import { PageBatch, type PageBatchOptions, type PageTables } from './page-batch.ts';
import { PrefetchWindow } from './prefetch-window.ts';
import type { SenderControl } from './sender-control.ts';

/** A frame of requested pages; and how much of a neighbourhood leaves before requests are looked for. */
const URGENT_PAGES_PER_FRAME = 16;

/** Where the descriptors stand in the set that is polled. */
const RETURN_PATH = 0;
const URGENT = 1;

/**
 * Answers page requests on the source. A requested page leaves first, alone and at once, on the urgent
 * channel; then its neighbours, a little at a time, for as long as no further request has come and the
 * channel is not backed up: what is queued there is in front of the next requested page.
 */
export class RequestServer {
  readonly #limits: FrameLimits;
  readonly #tables: PageTables;
  readonly #control: SenderControl;
  readonly #counters: ReturnPathCounters;
  readonly #batch: PageBatch;
  readonly #prefetch: PrefetchWindow;
  readonly #poll = new PollSet(2);

  constructor(
    tables: PageTables,
    limits: FrameLimits,
    control: SenderControl,
    counters: ReturnPathCounters,
    integrity: Pick<PageBatchOptions, 'checks' | 'sums'> = {},
  ) {
    this.#limits = limits;
    this.#tables = tables;
    this.#control = control;
    this.#counters = counters;
    const looksForZeros = (): boolean => control.zeroPageDetection !== 'none';
    this.#batch = new PageBatch(tables, { looksForZeros, ...integrity });
    this.#prefetch = new PrefetchWindow(tables.dirty);
  }

  /** Forgets what belongs to an old link. */
  reset(): void {
    this.#batch.clear();
    this.#prefetch.clear();
  }

  /** A bad request is counted and ignored: a reader that dies of it would take the guest with it. */
  serve(header: FrameHeader): void {
    this.#counters.add('requests', 1);
    if (!isRunInside(header, this.#limits)) {
      this.#counters.add('impossibleRequests', 1);
      return;
    }
    const { block, firstPage, pageCount } = header;
    const end = firstPage + pageCount;
    const urgent = this.#control.urgentDescriptor;
    const first = (this.#tables.dirty[block] as PageBitmap).next(firstPage, end);
    if (first < 0) this.#counters.add('repeatedRequests', 1); // on its way already
    else if (urgent < 0) this.#leaveToSender(block, first, end);
    else this.#send(urgent, block, first, end);
    if (urgent >= 0) this.#prefetch.note(block, end - 1);
  }

  /**
   * Pages that were damaged on their way have not been sent. A bad run is counted and ignored, as above.
   *
   * @returns whether there is something to send.
   */
  takeBack(header: FrameHeader): boolean {
    const { block, firstPage, pageCount } = header;
    if (!isRunInside(header, this.#limits)) {
      this.#counters.add('impossibleRequests', 1);
      return false;
    }
    (this.#tables.dirty[block] as PageBitmap).addRun(firstPage, pageCount);
    this.#counters.add('resends', 1);
    this.#counters.add('resentPages', pageCount);
    return true;
  }

  /**
   * Sends neighbours of the pages asked for, until there are none left or something has come in.
   *
   * @param returnPath where requests come from; nothing of it has been read ahead.
   * @throws {ChannelError} `ERR_CLOSED`: claimed pages are lost.
   */
  sendNeighbours(returnPath: number): void {
    const urgent = this.#control.urgentDescriptor;
    if (urgent < 0) return;
    for (;;) {
      const pages = this.#prefetch.findChunk(URGENT_PAGES_PER_FRAME);
      if (pages === 0) return;
      this.#poll.set(RETURN_PATH, returnPath, POLLIN);
      this.#poll.set(URGENT, urgent, POLLOUT);
      this.#poll.poll(-1, 2);
      if (this.#poll.revents(RETURN_PATH) !== 0) return;
      if (this.#poll.revents(URGENT) === 0) continue; // interrupted
      const { chunkBlock, chunkPage } = this.#prefetch;
      const sent = this.#send(urgent, chunkBlock, chunkPage, chunkPage + pages);
      this.#counters.add('prefetchedPages', sent);
    }
  }

  /** @returns how many pages left, those of zeros not counted. */
  #send(urgent: number, block: number, first: number, end: number): number {
    const dirty = this.#tables.dirty[block] as PageBitmap;
    let sent = 0;
    for (let page = first; page >= 0; page = dirty.next(page, end)) {
      page += this.#batch.claim(block, page, Math.min(URGENT_PAGES_PER_FRAME, end - page));
      sent += this.#flush(urgent);
    }
    return sent;
  }

  #flush(urgent: number): number {
    const { normalPages, zeroPages } = this.#batch;
    this.#batch.normalPages = 0;
    this.#batch.zeroPages = 0;
    const bytes = this.#batch.write(urgent);
    this.#counters.add('urgentPages', normalPages);
    this.#counters.add('urgentZeroPages', zeroPages);
    this.#counters.add('urgentBytes', bytes);
    return normalPages;
  }

  /** A full ring is no loss: every dirty page comes with the bulk. */
  #leaveToSender(block: number, first: number, end: number): void {
    const dirty = this.#tables.dirty[block] as PageBitmap;
    for (let page = first; page >= 0; page = dirty.next(page + 1, end)) {
      if (!this.#control.pushRequest(block, page)) return;
    }
  }
}
