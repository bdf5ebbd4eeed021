import { closeDescriptor, createEventfd, signalEventfd } from '@godwit/posix';
import {
  closeFaultSource,
  openFaultSource,
  unwatchMissing,
  watchMissing,
} from '../memory/fault-source.ts';
import { FaultLedger } from '../memory/fault-ledger.ts';
import { LatencyHistogram } from '../memory/latency-histogram.ts';
import { PageBitmap } from '../memory/page-bitmap.ts';
import type { RamBlock } from '../memory/ram-block.ts';
import { ReceivedPages } from '../memory/received-pages.ts';
import {
  Counters,
  type FaultCounters,
  faultCounters,
  type ReceiverCounters,
  receiverCounters,
} from '../threads/counters.ts';
import type { FaultCommands, FaultData, FaultEvent } from '../threads/fault-api.ts';
import type {
  RamReceiverCommands,
  RamReceiverData,
  RamReceiverEvent,
} from '../threads/ram-receiver-api.ts';
import { Thread } from '../threads/thread.ts';

/** The page loops of a destination and what they share; they live as long as the migration. */
export class DestinationThreads {
  readonly blocks: readonly RamBlock[];
  readonly received: ReceivedPages;
  readonly receiverCounters: ReceiverCounters = new Counters(receiverCounters);
  readonly urgentCounters: ReceiverCounters = new Counters(receiverCounters);
  readonly faultCounters: FaultCounters = new Counters(faultCounters);
  readonly histogram = new LatencyHistogram();
  readonly receiver: Thread<RamReceiverCommands, RamReceiverEvent>;
  readonly urgentReceiver: Thread<RamReceiverCommands, RamReceiverEvent>;
  readonly fault: Thread<FaultCommands, FaultEvent>;
  readonly #eventfd = createEventfd();
  #userfaultfd = -1;
  readonly #sharedUserfaultfd = new Int32Array(new SharedArrayBuffer(8));
  #blocktime: readonly (readonly [threadId: number, millis: number])[] = [];
  /** A missing page could be touched: the ranges must stay registered. */
  #watching = false;

  constructor(blocks: readonly RamBlock[], vcpus: number) {
    this.blocks = blocks;
    const blockPages = blocks.map((block) => block.byteLength / block.pageBytes);
    this.received = new ReceivedPages(blockPages);
    const shared = {
      blocks,
      received: this.received.buffers,
      requested: blockPages.map((pages) => new PageBitmap(pages).buffer),
      ledger: new FaultLedger().buffer,
    };
    const counters = this.receiverCounters.buffer;
    this.#sharedUserfaultfd[0] = -1;
    const userfaultfd = this.#sharedUserfaultfd.buffer;
    const main: RamReceiverData = { ...shared, userfaultfd, role: 'main', counters };
    const urgent: RamReceiverData = {
      ...shared,
      userfaultfd,
      role: 'urgent',
      counters: this.urgentCounters.buffer,
    };
    const fault: FaultData = {
      ...shared,
      counters: this.faultCounters.buffer,
      histogram: this.histogram.buffer,
      eventfd: this.#eventfd,
      vcpus,
    };
    this.receiver = new Thread('ram-receiver', main);
    this.urgentReceiver = new Thread('ram-receiver', urgent);
    this.fault = new Thread('fault', fault, () => signalEventfd(this.#eventfd));
  }

  /**
   * Makes sure that missing pages of every block can be served here, before the first one arrives.
   *
   * @throws {SystemError} the host refuses userfaultfd, or a block's backing has no missing pages.
   */
  async preparePostcopy(): Promise<void> {
    if (this.#userfaultfd < 0) this.#userfaultfd = openFaultSource();
    watchMissing(this.#userfaultfd, this.blocks);
    unwatchMissing(this.#userfaultfd, this.blocks);
    Atomics.store(this.#sharedUserfaultfd, 0, this.#userfaultfd);
    await this.fault.call('watch', this.#userfaultfd);
  }

  /** The receiver has registered the ranges ('listen'). */
  nowWatching(): void {
    this.#watching = true;
  }

  /** Every page is received, so none can be touched that is missing: faults are the kernel's again. */
  async stopWatching(): Promise<void> {
    if (!this.#watching) return;
    await this.fault.call('watch', -1);
    unwatchMissing(this.#userfaultfd, this.blocks);
    this.#watching = false;
  }

  /** A guest that runs could touch a missing page: this process must not let go of the userfaultfd. */
  get isWatching(): boolean {
    return this.#watching;
  }

  /** At the end of the process only: makes the loop that has no event loop look up. */
  wakeFaultThread(): void {
    void this.fault.end();
  }

  /** Milliseconds that each vCPU's thread has waited for pages, those that still wait left out. */
  async blocktime(): Promise<readonly (readonly [threadId: number, millis: number])[]> {
    this.#blocktime = await this.fault.call('blocktime', undefined).catch(() => this.#blocktime);
    return this.#blocktime;
  }

  /**
   * After every link is closed.
   *
   * @param options.keepUserfaultfd pages are missing under a guest that may still touch them: the
   *   kernel would show it zeros.
   */
  async end(options: { keepUserfaultfd: boolean }): Promise<void> {
    await this.blocktime();
    await Promise.all([this.receiver.end(), this.urgentReceiver.end(), this.fault.end()]);
    closeDescriptor(this.#eventfd);
    if (this.#userfaultfd >= 0 && !options.keepUserfaultfd) closeFaultSource(this.#userfaultfd);
    this.#userfaultfd = -1;
  }
}
