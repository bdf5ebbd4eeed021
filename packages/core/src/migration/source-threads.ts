import type { MigrationError } from '../errors.ts';
import { PageBitmap } from '../memory/page-bitmap.ts';
import { PageSums } from '../memory/page-sums.ts';
import type { PageRun } from '../memory/page-run.ts';
import type { RamBlock } from '../memory/ram-block.ts';
import {
  Counters,
  CounterSum,
  type ReturnPathCounters,
  returnPathCounters,
  type SenderCounter,
  type SenderCounters,
  senderCounters,
} from '../threads/counters.ts';
import type {
  RamSenderCommands,
  RamSenderData,
  RamSenderEvent,
} from '../threads/ram-sender-api.ts';
import type { ReturnPathCommands, ReturnPathEvent } from '../threads/return-path-api.ts';
import { SenderControl } from '../threads/sender-control.ts';
import { Thread } from '../threads/thread.ts';
import { withLimit } from './limit.ts';
import type { PageChannels } from './source-context.ts';
import { type PageMap, pageMap } from './page-map.ts';

/** Threads that have not started by then will not: a host under any load takes seconds at most. */
const START_MILLIS_MAX = 60_000;

export type Sender = Thread<RamSenderCommands, RamSenderEvent>;

/** The page loops of a source and what they share; they live as long as the migration. */
export class SourceThreads {
  readonly blocks: readonly RamBlock[];
  readonly blockPages: readonly number[];
  /** Pages the destination lacks; claimed by the threads, replaced by recovery while they are idle. */
  readonly dirty: readonly PageBitmap[];
  readonly present: readonly PageBitmap[];
  readonly control = new SenderControl();
  /** Of the ram-sender and the page-senders together. */
  readonly senderCounters: CounterSum<SenderCounter>;
  /** Of the page-senders alone. */
  readonly pageSenderCounters: CounterSum<SenderCounter>;
  readonly returnPathCounters: ReturnPathCounters = new Counters(returnPathCounters);
  readonly sender: Sender;
  /** One for each page channel; none without multifd. */
  readonly pageSenders: readonly Sender[];
  /** As agreed with the destination. */
  readonly pageChannels: PageChannels;
  /** Milliseconds between the heartbeats of both sides; 0: none. */
  readonly heartbeatMillis: number;
  readonly returnPath: Thread<ReturnPathCommands, ReturnPathEvent>;
  /** With `x-checksum`: the pages that arrived damaged last. */
  lastDamaged: PageRun | undefined;
  /** With `x-ram-digest`: of each page, as it was sent last. */
  readonly sums: PageSums | undefined;
  /** After postcopy: the destination's are others. */
  ramDifference: MigrationError | undefined;
  /** With `x-ram-digest`: of each block, once they are compared. */
  ramDigests: readonly Uint8Array[] | undefined;
  /** What is given to them leaves at once, and what comes is read. */
  readonly #running: Promise<unknown>;
  #haveRun = false;
  #transfers = 0;

  constructor(blocks: readonly RamBlock[], pageChannels: PageChannels, heartbeatMillis: number) {
    this.pageChannels = pageChannels;
    this.heartbeatMillis = heartbeatMillis;
    this.blocks = blocks;
    this.blockPages = blocks.map((block) => block.byteLength / block.pageBytes);
    this.dirty = this.blockPages.map((pages) => new PageBitmap(pages));
    this.present = this.blockPages.map((pages) => new PageBitmap(pages));
    this.sums = pageChannels.sums ? new PageSums(blocks) : undefined;
    const shared = {
      blocks,
      blockPages: this.blockPages,
      dirty: this.dirty.map((bitmap) => bitmap.buffer),
      present: this.present.map((bitmap) => bitmap.buffer),
      control: this.control.buffer,
      checks: pageChannels.checks,
      ...(this.sums === undefined ? {} : { sums: this.sums.buffers }),
    };
    const counters: SenderCounters[] = [];
    const newSender = (pageChannel?: PageChannels): Sender => {
      const own = new Counters(senderCounters);
      counters.push(own);
      const role = pageChannel === undefined ? {} : { pageChannel };
      const senderData: RamSenderData = { ...shared, ...role, counters: own.buffer };
      return new Thread('ram-sender', senderData);
    };
    this.sender = newSender();
    this.pageSenders = Array.from({ length: pageChannels.count }, () => newSender(pageChannels));
    this.senderCounters = new CounterSum(counters);
    this.pageSenderCounters = new CounterSum(counters.slice(1)); // the first is the ram-sender's
    const returnPath: RamSenderData = { ...shared, counters: this.returnPathCounters.buffer };
    this.returnPath = new Thread('return-path', returnPath);
    const senders = [this.sender, ...this.pageSenders].map((it) => it.call('ready', undefined));
    this.#running = Promise.all([...senders, this.returnPath.call('ready', undefined)]);
    this.#running.catch(() => undefined); // told to who waits
  }

  /**
   * Before the first connection: what a busy host takes to start threads is not the peer's time, which
   * begins with it.
   */
  async untilRunning(signal: AbortSignal): Promise<void> {
    const limit = { timeoutMillis: START_MILLIS_MAX, what: 'the start of its threads', signal };
    await withLimit(this.#running, limit);
    this.#haveRun = true;
  }

  /** A number that no transfer had before. */
  nextTransfer(): number {
    return ++this.#transfers;
  }

  dirtyPages(): number {
    return this.dirty.reduce((sum, bitmap) => sum + bitmap.count(), 0);
  }

  /** @param cellsMax as of `pageMap`. */
  pageMap(cellsMax: number): PageMap {
    const { dirty, present } = this;
    return pageMap('source', this.blocks, cellsMax, { dirty, present });
  }

  /**
   * Writes are not noted any more: another migration may begin to. A dead thread notes none either, and
   * one that has not begun none yet: who gives up meanwhile does not wait for it.
   */
  async untrack(): Promise<void> {
    if (!this.#haveRun) return;
    await this.sender.call('untrack', undefined).catch(() => undefined);
  }

  /** After every link is closed. */
  async end(): Promise<void> {
    await this.untrack();
    const threads = [this.sender, ...this.pageSenders, this.returnPath];
    await Promise.all(threads.map(async (thread) => await thread.end()));
  }
}
