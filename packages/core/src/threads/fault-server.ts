import { FaultEvent as FaultKind, FaultReader, ScratchBuffer } from '@godwit/posix';
import {
  encodeFrameHeader,
  FRAME_HEADER_BYTES,
  FrameType,
  sealFrameHeader,
  writeBytes,
} from '@godwit/transport';
import type { Blocktime } from '../memory/blocktime.ts';
import { type FaultLedger, settleRun, sharedMillis } from '../memory/fault-ledger.ts';
import { resolveReceived } from '../memory/fault-source.ts';
import type { LatencyHistogram } from '../memory/latency-histogram.ts';
import type { PageBitmap } from '../memory/page-bitmap.ts';
import type { RamBlock } from '../memory/ram-block.ts';
import type { ReceivedPages } from '../memory/received-pages.ts';
import type { FaultCounters } from './counters.ts';

const FAULTS_PER_READ = 64;

/** What is known of the guest's memory and of those who wait for it; shared with other threads. */
export interface FaultTables {
  readonly blocks: readonly RamBlock[];
  readonly received: ReceivedPages;
  readonly requested: readonly PageBitmap[];
  /** Every page that was ever asked for; only looked at by people. */
  readonly faulted: readonly PageBitmap[];
  /** Pages that arrived damaged; the receivers add to it. */
  readonly damaged: readonly PageBitmap[];
  readonly ledger: FaultLedger;
  readonly counters: FaultCounters;
  readonly histogram: LatencyHistogram;
  /** This thread's own. */
  readonly blocktime: Blocktime;
}

/**
 * Turns page faults into requests, one per missing page however many threads touch it. What is only
 * counted comes after the request has left.
 */
export class FaultServer {
  /** With `x-checksum`: what is written from here on are checked frames. */
  seals = false;
  readonly #tables: FaultTables;
  /**
   * Why requests could not be written, or a page that is zero not be placed: they are kept, and seen to when
   * there is a link again.
   */
  readonly #onLinkLost: (error: unknown) => void;
  readonly #faults = new FaultReader(FAULTS_PER_READ);
  readonly #requests = new ScratchBuffer(FAULTS_PER_READ * FRAME_HEADER_BYTES);
  readonly #requestsView = new DataView(this.#requests.bytes.buffer);
  readonly #addSettled: (threadId: number, askedMillis: number, placedMillis: number) => void;
  #userfaultfd = -1;
  #descriptor = -1;
  #serving = false;
  #requestBytes = 0;
  #requestCount = 0;

  constructor(tables: FaultTables, onLinkLost: (error: unknown) => void) {
    this.#tables = tables;
    this.#onLinkLost = onLinkLost;
    this.#addSettled = (threadId, askedMillis, placedMillis) => {
      tables.histogram.add((placedMillis - askedMillis) * 1000);
      const millis = tables.blocktime.add(threadId, askedMillis, placedMillis);
      tables.counters.add('blocktimeMillis', millis);
    };
  }

  /** The userfaultfd that faults are read from; -1: none. */
  get userfaultfd(): number {
    return this.#userfaultfd;
  }

  watch(userfaultfd: number): void {
    this.#userfaultfd = userfaultfd;
  }

  /** Requests go to this descriptor, once they are asked for; -1: nowhere. */
  attach(descriptor: number): void {
    this.#descriptor = descriptor;
    this.#serving = false;
  }

  /** Asks for every page that was asked for and has not come, and for new ones from now on. */
  requestOutstanding(): void {
    this.#serving = true;
    const { requested, received, ledger } = this.#tables;
    for (const [block, bitmap] of requested.entries()) {
      const here = received.bitmaps[block] as PageBitmap;
      for (let page = bitmap.next(0); page >= 0; page = bitmap.next(page + 1)) {
        if (!here.has(page)) this.#request(block, page);
        else if (this.#resolve(block, page)) settleRun(ledger, bitmap, block, page, 1); // see `#resolveHere`
      }
    }
    this.#sendRequests();
  }

  /** Asks for what arrived damaged and has not come since; at once, where requests are answered. */
  requestDamaged(): void {
    if (this.#descriptor < 0) return; // the next link begins with what is received
    for (const [block, bitmap] of this.#tables.damaged.entries()) {
      const here = this.#tables.received.bitmaps[block] as PageBitmap;
      for (let page = bitmap.next(0); page >= 0; page = bitmap.next(page)) {
        const count = bitmap.takeAhead(page, bitmap.pages - page);
        if (count === 0 || here.nextClear(page, page + count) < 0) continue;
        this.#add(FrameType.RESEND, block, page, count);
        if (this.#serving) this.#request(block, page, count);
      }
    }
    this.#sendRequests();
  }

  /** Reads what faults there are and asks for their pages. */
  serveFaults(): void {
    const faults = this.#faults;
    const count = faults.read(this.#userfaultfd);
    for (let i = 0; i < count; i++) {
      if (faults.event(i) !== FaultKind.PAGEFAULT) continue;
      this.#serveFault(faults.address(i), faults.threadId(i));
    }
    this.#sendRequests();
    this.#tables.counters.add('faults', count);
    this.collectSettled();
  }

  /** Adds up the faults that are over. */
  collectSettled(): void {
    this.#tables.ledger.collect(this.#addSettled);
  }

  #serveFault(address: number, threadId: number): void {
    const { received, requested, ledger } = this.#tables;
    const block = this.#blockOf(address);
    if (block < 0) return; // not registered by us, cannot be
    const ram = this.#tables.blocks[block] as RamBlock;
    const page = Math.floor((address - ram.address) / ram.pageBytes);
    const here = received.bitmaps[block] as PageBitmap;
    if (here.has(page)) return this.#resolveHere(block, page, threadId);
    ledger.open(block, page, threadId, sharedMillis());
    const isNew = (requested[block] as PageBitmap).add(page);
    // A placing thread sets received and then looks at requested, this one the other way round: one of
    // the two always sees that somebody waits.
    if (here.has(page)) {
      settleRun(ledger, requested[block] as PageBitmap, block, page, 1);
      return this.#resolveHere(block, page, threadId);
    }
    if (!isNew) return;
    this.#request(block, page);
    this.#tables.faulted[block]?.add(page);
  }

  #blockOf(address: number): number {
    const { blocks } = this.#tables;
    for (let block = 0; block < blocks.length; block++) {
      const ram = blocks[block] as RamBlock;
      if (address >= ram.address && address < ram.address + ram.byteLength) return block;
    }
    return -1;
  }

  /**
   * Received: it has been placed since the fault was read, or it is zero and was never there. Where memory has
   * run out for it, as for any page that is placed, the link is given up, and who waits goes on waiting.
   */
  #resolveHere(block: number, page: number, threadId: number): void {
    const { counters, ledger, requested } = this.#tables;
    counters.add('localFaults', 1);
    if (this.#resolve(block, page)) return;
    ledger.open(block, page, threadId, sharedMillis());
    (requested[block] as PageBitmap).add(page);
  }

  /** @returns whether nobody waits for the page any more. */
  #resolve(block: number, page: number): boolean {
    try {
      resolveReceived(this.#userfaultfd, this.#tables.blocks[block] as RamBlock, page);
      return true;
    } catch (error) {
      this.#onLinkLost(error);
      return false;
    }
  }

  #request(block: number, page: number, count = 1): void {
    if (!this.#serving) return; // kept in the bitmap: asked for when there is a link again
    this.#requestCount += 1;
    this.#add(FrameType.REQUEST, block, page, count);
  }

  #add(type: FrameType, block: number, page: number, count: number): void {
    if (this.#requestBytes === this.#requests.byteLength) this.#sendRequests();
    const offset = this.#requestBytes;
    encodeFrameHeader(this.#requestsView, offset, type, block, page, count, 0);
    if (this.seals) sealFrameHeader(this.#requestsView, offset, 0);
    this.#requestBytes += FRAME_HEADER_BYTES;
  }

  #sendRequests(): void {
    const [bytes, count] = [this.#requestBytes, this.#requestCount];
    if (bytes === 0) return;
    this.#requestBytes = 0;
    this.#requestCount = 0;
    try {
      writeBytes(this.#descriptor, this.#requests.address, bytes);
      this.#tables.counters.add('requests', count);
    } catch (error) {
      this.#serving = false;
      this.#onLinkLost(error);
    }
  }
}
