import { closeDescriptor, createEventfd, signalEventfd } from '@godwit/posix';
import {
  closeFaultSource,
  openFaultSource,
  unwatchMissing,
  watchMissing,
} from '../memory/fault-source.ts';
import { endMissing } from '../memory/guest-ram.ts';
import { FaultLedger } from '../memory/fault-ledger.ts';
import { LatencyHistogram } from '../memory/latency-histogram.ts';
import type { ThreadWaits } from '../memory/blocktime.ts';
import { PageBitmap } from '../memory/page-bitmap.ts';
import { PageSums } from '../memory/page-sums.ts';
import { memoryModeOf } from '../memory/portable-ram.ts';
import type { PageRun } from '../memory/page-run.ts';
import type { RamBlock } from '../memory/ram-block.ts';
import { newReceivedPages, type ReceivedPages } from '../memory/received-pages.ts';
import {
  Counters,
  CounterSum,
  type FaultCounters,
  faultCounters,
  type ReceiverCounter,
  type ReceiverCounters,
  receiverCounters,
} from '../threads/counters.ts';
import type { FaultCommands, FaultData, FaultEvent } from '../threads/fault-api.ts';
import {
  FIRST_PAGE_READER,
  MAIN_READER,
  PlacingGate,
  URGENT_READER,
} from '../threads/placing-gate.ts';
import type {
  RamReceiverCommands,
  RamReceiverData,
  RamReceiverEvent,
} from '../threads/ram-receiver-api.ts';
import { Thread } from '../threads/thread.ts';
import { Guardian } from './guardian.ts';
import { type PageMap, pageMap } from './page-map.ts';

type Receiver = Thread<RamReceiverCommands, RamReceiverEvent>;
type ReceiverRole = RamReceiverData['role'];

/** The page loops of a destination and what they share; they live as long as the migration. */
export class DestinationThreads {
  readonly blocks: readonly RamBlock[];
  readonly received: ReceivedPages;
  /** Asked for and not come yet; and ever asked for. */
  readonly requested: readonly PageBitmap[];
  readonly faulted: readonly PageBitmap[];
  /** Arrived damaged and not asked for again yet. */
  readonly damaged: readonly PageBitmap[];
  /** Of everything but requested pages: the main channel's and the page channels'. */
  readonly receiverCounters: CounterSum<ReceiverCounter>;
  readonly urgentCounters: ReceiverCounters = new Counters(receiverCounters);
  readonly faultCounters: FaultCounters = new Counters(faultCounters);
  readonly histogram = new LatencyHistogram();
  readonly receiver: Receiver;
  readonly urgentReceiver: Receiver;
  readonly fault: Thread<FaultCommands, FaultEvent>;
  readonly gate = new PlacingGate();
  /** As the source has said: milliseconds between the heartbeats of both sides; 0: none. */
  heartbeatMillis = 0;
  /** Of each receiver its own. */
  readonly #reads = new Map<Receiver, ReceiverCounters>();
  /** Of userfaultfd alone: in portable memory the guest itself is refused a page that is not received. */
  readonly guardian = new Guardian();
  /** Who waits for which page. */
  readonly ledger = new FaultLedger();
  readonly #shared: Omit<RamReceiverData, 'role' | 'reader' | 'counters'>;
  readonly #bulkCounters: ReceiverCounters[] = [];
  readonly #pageReceivers: Receiver[] = [];
  /** What comes is read and answered at once: until then what does not come is not late. */
  readonly running: Promise<unknown>;
  readonly #eventfd = createEventfd();
  #blocktime: readonly ThreadWaits[] = [];
  /** One guardian starts at a time: a second would close the first one's pipe, which is its sign to kill. */
  #guarding: Promise<void> = Promise.resolve();
  /** A missing page could be touched: the ranges must stay registered. */
  #watching = false;
  #postcopyPrepared = false;
  readonly vcpus: number;
  /** With `x-ram-digest`: of each page, as it was put in place last; takes no memory without. */
  readonly sums: PageSums;
  /** With `x-ram-digest`: of each block. */
  ramDigests: readonly Uint8Array[] | undefined;
  /** With `x-checksum`: the frame of pages that was damaged last. */
  lastDamaged: PageRun | undefined;

  constructor(blocks: readonly RamBlock[], vcpus: number) {
    this.blocks = blocks;
    this.vcpus = vcpus;
    const blockPages = blocks.map((block) => block.byteLength / block.pageBytes);
    this.received = newReceivedPages(blocks);
    this.requested = blockPages.map((pages) => new PageBitmap(pages));
    this.faulted = blockPages.map((pages) => new PageBitmap(pages));
    this.sums = new PageSums(blocks);
    this.damaged = blockPages.map((pages) => new PageBitmap(pages));
    const shared = {
      blocks,
      received: this.received.buffers,
      requested: this.requested.map((bitmap) => bitmap.buffer),
      damaged: this.damaged.map((bitmap) => bitmap.buffer),
      ledger: this.ledger.buffer,
    };
    this.#shared = { ...shared, sums: this.sums.buffers, gate: this.gate.buffer };
    this.receiverCounters = new CounterSum(this.#bulkCounters);
    const fault: FaultData = {
      ...shared,
      faulted: this.faulted.map((bitmap) => bitmap.buffer),
      counters: this.faultCounters.buffer,
      histogram: this.histogram.buffer,
      eventfd: this.#eventfd,
      vcpus,
    };
    this.receiver = this.#bulkReceiver('main', MAIN_READER);
    this.urgentReceiver = this.#newReceiver('urgent', URGENT_READER, this.urgentCounters);
    this.fault = new Thread('fault', fault, () => signalEventfd(this.#eventfd));
    // Where one does not start, the link says why.
    const answers = [
      this.receiver.call('ready', undefined),
      this.fault.call('blocktime', undefined),
    ];
    this.running = Promise.allSettled(answers);
    this.guardian.onLost = () => void this.#startGuardian().catch(() => undefined);
  }

  /** Starts the threads of so many page channels, unless they are there already. */
  startPageChannels(count: number): void {
    for (let i = this.#pageReceivers.length; i < count; i++) {
      this.#pageReceivers.push(this.#bulkReceiver('page', FIRST_PAGE_READER + i));
    }
  }

  /** @returns when the threads of so many page channels run: pages will come at once. */
  async preparePageChannels(count: number): Promise<void> {
    this.startPageChannels(count);
    const wanted = this.#pageReceivers.slice(0, count);
    try {
      await Promise.all(wanted.map(async (thread) => await thread.call('ready', undefined)));
    } catch (error) {
      const threads = this.#pageReceivers.splice(0); // the next source is given others
      await Promise.all(threads.map(async (thread) => await thread.end()));
      throw error;
    }
    this.gate.pageChannels = count;
  }

  /** How many reads it has begun and ended: odd while it waits for the link. */
  readsOf(receiver: Receiver): number {
    return this.#reads.get(receiver)?.get('reads') ?? 0;
  }

  get pageReceivers(): readonly Receiver[] {
    return this.#pageReceivers;
  }

  /**
   * Makes sure that missing pages of every block can be served here, before the first one arrives.
   *
   * @throws {SystemError} the host refuses userfaultfd, or a block's backing has no missing pages.
   */
  async preparePostcopy(): Promise<void> {
    const { gate } = this;
    if (gate.userfaultfd < 0) gate.userfaultfd = openFaultSource(this.blocks);
    try {
      watchMissing(gate.userfaultfd, this.blocks);
      unwatchMissing(gate.userfaultfd, this.blocks);
    } catch (error) {
      closeFaultSource(gate.userfaultfd, this.blocks); // some blocks would stay watched, and nobody would serve them
      gate.userfaultfd = -1;
      throw error;
    }
    await this.fault.call('watch', gate.userfaultfd);
    await this.#startGuardian();
    this.#postcopyPrepared = true;
  }

  /** Faults may have been served, or may yet be. */
  get postcopyPrepared(): boolean {
    return this.#postcopyPrepared;
  }

  /** @param cellsMax as of `pageMap`. */
  pageMap(cellsMax: number): PageMap {
    const { requested: waiting, faulted } = this;
    const received = this.received.bitmaps;
    return pageMap('destination', this.blocks, cellsMax, { received, waiting, faulted });
  }

  /** The receiver has registered the ranges ('listen'). */
  nowWatching(): void {
    this.#watching = true;
  }

  /** Every page is received, so none can be touched that is missing: faults are the kernel's again. */
  async stopWatching(): Promise<void> {
    if (!this.#watching) return;
    await this.fault.call('watch', -1);
    unwatchMissing(this.gate.userfaultfd, this.blocks);
    for (const block of this.blocks) endMissing(block);
    this.#watching = false;
    this.guardian.release();
  }

  /** A guest that runs could touch a missing page: this process must not let go of the userfaultfd. */
  get isWatching(): boolean {
    return this.#watching;
  }

  /** At the end of the process only: makes the loop that has no event loop look up. */
  wakeFaultThread(): void {
    this.guardian.release(); // the thread ends in order, and the process with the code that it chose
    void this.fault.end();
  }

  /** What each vCPU's thread has waited for pages, the waits that still last left out. */
  async blocktime(): Promise<readonly ThreadWaits[]> {
    this.#blocktime = await this.fault.call('blocktime', undefined).catch(() => this.#blocktime);
    return this.#blocktime;
  }

  /**
   * After every link is closed.
   *
   * @param options.keepUserfaultfd pages are missing under a guest that may still touch them: the
   *   kernel would show it zeros. In portable mode it is refused them instead.
   */
  async end(options: { keepUserfaultfd: boolean }): Promise<void> {
    await this.blocktime();
    const isKept = options.keepUserfaultfd && memoryModeOf(this.blocks) === 'userfault';
    if (isKept) this.guardian.holdForGood();
    else this.guardian.release();
    const receivers = [this.receiver, this.urgentReceiver, ...this.#pageReceivers];
    await Promise.all([...receivers, this.fault].map(async (thread) => await thread.end()));
    closeDescriptor(this.#eventfd);
    const { userfaultfd } = this.gate;
    if (userfaultfd >= 0 && !isKept) {
      // Not by the close alone: the guardian's duplicate may be there for a moment longer.
      if (this.#watching) unwatchMissing(userfaultfd, this.blocks);
      closeFaultSource(userfaultfd, this.blocks);
    }
    this.gate.userfaultfd = -1;
  }

  /** Pages may be missing, and the kernel is who notices. */
  get isGuardable(): boolean {
    return this.gate.userfaultfd >= 0 && memoryModeOf(this.blocks) === 'userfault';
  }

  /** Postcopy goes on without one, as it would where there is no shell: `guardian.error` tells why. */
  async #startGuardian(): Promise<void> {
    const started = this.#guarding.then(async () => await this.#startOne());
    this.#guarding = started.catch(() => undefined); // told to who called
    await started;
  }

  async #startOne(): Promise<void> {
    if (!this.isGuardable || this.guardian.status === 'watching') return;
    await this.guardian.start(this.gate.userfaultfd, async (writer) => {
      return await this.fault.call('guard', writer);
    });
  }

  #bulkReceiver(role: 'main' | 'page', reader: number): Receiver {
    const counters = new Counters(receiverCounters);
    this.#bulkCounters.push(counters);
    return this.#newReceiver(role, reader, counters);
  }

  #newReceiver(role: ReceiverRole, reader: number, counters: ReceiverCounters): Receiver {
    const workerData: RamReceiverData = {
      ...this.#shared,
      role,
      reader,
      counters: counters.buffer,
    };
    const receiver: Receiver = new Thread('ram-receiver', workerData);
    this.#reads.set(receiver, counters);
    return receiver;
  }
}
