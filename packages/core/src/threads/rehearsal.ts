import {
  closeDescriptor,
  FaultEvent,
  pageBytes,
  ScratchBuffer,
  socketPair,
  SystemError,
  tryReceive,
  viewMemory,
} from '@godwit/posix';
import {
  channelSource,
  encodeFrameHeader,
  FRAME_HEADER_BYTES,
  FrameReader,
  FrameType,
  pollingSource,
  writeBytes,
} from '@godwit/transport';
import { Blocktime } from '../memory/blocktime.ts';
import { FaultLedger, settleRun } from '../memory/fault-ledger.ts';
import { closeFaultSource, openFaultSource, watchMissing } from '../memory/fault-source.ts';
import { allocateRam, discardPages, type GuestRam, makeMissing } from '../memory/guest-ram.ts';
import { LatencyHistogram } from '../memory/latency-histogram.ts';
import { PageBitmap } from '../memory/page-bitmap.ts';
import type { MemoryMode, RamBlock } from '../memory/ram-block.ts';
import { newReceivedPages, ReceivedPages } from '../memory/received-pages.ts';
import { Counters, faultCounters, receiverCounters, returnPathCounters } from './counters.ts';
import { FaultServer } from './fault-server.ts';
import { PagePlacer } from './page-placer.ts';
import { PlacingGate } from './placing-gate.ts';
import { PortablePlacer } from './portable-placer.ts';
import { RequestServer } from './request-server.ts';
import { SenderControl } from './sender-control.ts';

/*
 * The first faults of a migration are the worst moment to compile the code that serves them: they took
 * one to three milliseconds, those after the first fifty a tenth of that. So each of the three threads
 * that a stalled guest waits for does its work some times before there is a guest to wait: on memory,
 * sockets and counters of its own, which are gone afterwards.
 *
 * A rehearsal that cannot be held is left out; the performance is the same, and slower at first.
 */

const ROUNDS = 200;
/** Few and small enough for a socket to hold them all: nobody reads while they are written. */
const PAGES = 8;
const PAGE_BYTES_MAX = 4096;
const BUFFER_BYTES = 64 * 1024;
const limits = { pageBytes, blockPages: [PAGES] };

/** The source's return-path thread: requests are read, pages and their neighbours written. */
export function rehearseRequests(): void {
  rehearse((stage) => {
    const [near, far] = stage.sockets();
    const [urgent, destination] = stage.sockets();
    const [dirty, present] = [new PageBitmap(PAGES), new PageBitmap(PAGES)];
    present.fill();
    new Uint8Array(viewMemory(stage.block.address, stage.block.byteLength)).fill(1);
    const control = new SenderControl();
    control.urgentDescriptor = urgent;
    const tables = { blocks: [stage.block], dirty: [dirty], present: [present] };
    const counters = new Counters(returnPathCounters);
    const server = new RequestServer(tables, limits, control, counters);
    const reader = new FrameReader(pollingSource(near), BUFFER_BYTES);
    for (let round = 0; round < ROUNDS; round++) {
      if (dirty.next(0) < 0) dirty.fill();
      stage.writeFrame(far, FrameType.REQUEST, dirty.next(0), 0);
      reader.next(limits);
      server.serve(reader.header);
      server.sendNeighbours(near);
      stage.drain(destination);
    }
  });
}

/** The destination's fault thread: messages are read, requests written, faults told. */
export function rehearseFaults(): void {
  rehearse((stage) => {
    const [kernel, userfaultfd] = stage.sockets();
    const [descriptor, source] = stage.sockets();
    const tables = {
      blocks: [stage.block],
      received: new ReceivedPages([PAGES]),
      requested: [new PageBitmap(PAGES)] as const,
      faulted: [new PageBitmap(PAGES)],
      damaged: [],
      ledger: new FaultLedger(),
      counters: new Counters(faultCounters),
      histogram: new LatencyHistogram(),
      blocktime: new Blocktime(1),
    };
    const server = new FaultServer(tables, () => undefined);
    server.watch(userfaultfd);
    server.attach(descriptor);
    server.requestOutstanding();
    for (let round = 0; round < ROUNDS; round++) {
      const page = round % PAGES;
      stage.writeFault(kernel, page);
      server.serveFaults();
      stage.drain(source);
      settleRun(tables.ledger, tables.requested[0], 0, page, 1);
    }
  });
}

/** The destination's urgent receiver: pages are read and placed. */
export function rehearsePlacing(mode: MemoryMode): void {
  rehearse((stage) => {
    const [near, far] = stage.sockets();
    const gate = new PlacingGate();
    gate.userfaultfd = stage.openFaultSource();
    const received = newReceivedPages([stage.block]);
    const requested = new PageBitmap(PAGES);
    const ledger = new FaultLedger();
    const tables = {
      blocks: [stage.block],
      received,
      requested: [requested],
      ledger,
      counters: new Counters(receiverCounters),
      gate,
    };
    const Placer = mode === 'portable' ? PortablePlacer : PagePlacer;
    const placer = new Placer(tables, () => undefined);
    const reader = new FrameReader(channelSource(near), BUFFER_BYTES);
    for (let round = 0; round < ROUNDS; round++) {
      const page = round % PAGES;
      if (received.bitmaps[0]?.has(page) === true) {
        discardPages(stage.block, page, 1);
        received.removeRun(0, page, 1);
        if (mode === 'portable') watchMissing(gate.userfaultfd, [stage.block]); // it is missing again
      }
      ledger.open(0, page, 0, 0);
      requested.add(page);
      stage.writeFrame(far, FrameType.PAGES, page, pageBytes);
      reader.next(limits);
      placer.placeRun(reader);
      ledger.collect(() => undefined);
    }
  }, mode);
}

function rehearse(play: (stage: Stage) => void, mode: MemoryMode = 'userfault'): void {
  if (pageBytes > PAGE_BYTES_MAX) return;
  try {
    using stage = new Stage(mode);
    play(stage);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error; // a host without userfaultfd, or out of something
  }
}

/** What a rehearsal needs and leaves nothing of. */
class Stage implements Disposable {
  readonly block: RamBlock;
  readonly #ram: GuestRam;
  readonly #buffer = new ScratchBuffer(BUFFER_BYTES);
  readonly #view = new DataView(this.#buffer.bytes.buffer);
  readonly #descriptors: number[] = [];
  #faultSource = -1;

  constructor(mode: MemoryMode) {
    const byteLength = PAGES * pageBytes;
    this.#ram = allocateRam([{ id: 'rehearsal', byteLength }], 'anon', mode);
    this.block = this.#ram.blocks[0] as RamBlock; // allocateRam returns what it was asked for
    makeMissing(this.block, new PageBitmap(PAGES));
  }

  sockets(): readonly [number, number] {
    const pair = socketPair();
    this.#descriptors.push(...pair);
    return pair;
  }

  /** Pages of the block are missing from here on: nobody may touch them but who places them. */
  openFaultSource(): number {
    this.#faultSource = openFaultSource([this.block]);
    watchMissing(this.#faultSource, [this.block]);
    return this.#faultSource;
  }

  writeFrame(descriptor: number, type: FrameType, page: number, bodyBytes: number): void {
    encodeFrameHeader(this.#view, 0, type, 0, page, 1, bodyBytes);
    writeBytes(descriptor, this.#buffer.address, FRAME_HEADER_BYTES + bodyBytes);
  }

  /** A `struct uffd_msg`, as `FaultReader` takes it. */
  writeFault(descriptor: number, page: number): void {
    this.#view.setUint8(0, FaultEvent.PAGEFAULT);
    this.#view.setBigUint64(16, BigInt(this.block.address + page * pageBytes), true);
    writeBytes(descriptor, this.#buffer.address, 32);
  }

  /** Takes away what has been written to the other end. */
  drain(descriptor: number): void {
    while (tryReceive(descriptor, this.#buffer.address, BUFFER_BYTES) > 0);
  }

  [Symbol.dispose](): void {
    for (const descriptor of this.#descriptors) closeDescriptor(descriptor);
    if (this.#faultSource >= 0) closeFaultSource(this.#faultSource, [this.block]);
    this.#ram[Symbol.dispose]();
  }
}
