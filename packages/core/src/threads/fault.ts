import { workerData } from 'node:worker_threads';
import {
  drainEventfd,
  FaultEvent as FaultKind,
  FaultReader,
  ScratchBuffer,
  POLLIN,
  PollSet,
} from '@godwit/posix';
import { encodeFrameHeader, FRAME_HEADER_BYTES, FrameType, writeBytes } from '@godwit/transport';
import { Blocktime } from '../memory/blocktime.ts';
import { FaultLedger, settleRun, sharedMillis } from '../memory/fault-ledger.ts';
import { placeZeroPages } from '../memory/fault-source.ts';
import { LatencyHistogram } from '../memory/latency-histogram.ts';
import { PageBitmap } from '../memory/page-bitmap.ts';
import type { RamBlock } from '../memory/ram-block.ts';
import { ReceivedPages } from '../memory/received-pages.ts';
import { Counters, faultCounters } from './counters.ts';
import type { FaultCommands, FaultData, FaultEvent } from './fault-api.ts';
import { describeFailure, servePending, tell } from './serve-thread.ts';

/*
 * The destination's writer of the return path: it sleeps on the userfaultfd and on an eventfd for the
 * main thread's commands. Touching guest memory here would be a deadlock: nobody else serves faults.
 */

const FAULTS_PER_READ = 64;

const data = workerData as FaultData;
const { blocks } = data;
const blockPages = blocks.map((block) => block.byteLength / block.pageBytes);
const received = new ReceivedPages(blockPages, data.received);
const requested = data.requested.map(
  (buffer, i) => new PageBitmap(blockPages[i] as number, buffer),
);
const ledger = new FaultLedger(data.ledger);
const counters = new Counters(faultCounters, data.counters);
const histogram = new LatencyHistogram(data.histogram);
const blocktime = new Blocktime(data.vcpus);
const faults = new FaultReader(FAULTS_PER_READ);
const requests = new ScratchBuffer(FAULTS_PER_READ * FRAME_HEADER_BYTES);
const requestsView = new DataView(
  requests.bytes.buffer,
  requests.bytes.byteOffset,
  requests.byteLength,
);
const poll = new PollSet(2);
let userfaultfd = -1;
let descriptor = -1;
let serving = false;
let goesOn = true;
let requestBytes = 0;

const handlers = {
  watch(newUserfaultfd: number): void {
    userfaultfd = newUserfaultfd;
  },
  attach(newDescriptor: number): void {
    descriptor = newDescriptor;
    serving = false;
  },
  write(frames: readonly Uint8Array[]): void {
    for (const frame of frames) writeFrame(frame);
  },
  serve(): void {
    serving = true;
    requestOutstanding();
  },
  blocktime(): readonly (readonly [number, number])[] {
    collectSettled();
    return blocktime.byThread();
  },
};

poll.set(0, data.eventfd, POLLIN);
while (goesOn) {
  poll.set(1, userfaultfd, POLLIN); // poll(2) passes over a negative descriptor
  poll.poll(-1, 2);
  if (poll.revents(0) !== 0) {
    drainEventfd(data.eventfd);
    goesOn = servePending<FaultCommands>(handlers);
  }
  if (userfaultfd >= 0 && poll.revents(1) !== 0) serveFaults();
}

function serveFaults(): void {
  collectSettled();
  const count = faults.read(userfaultfd);
  for (let i = 0; i < count; i++) {
    if (faults.event(i) === FaultKind.PAGEFAULT) serveFault(faults.address(i), faults.threadId(i));
  }
  sendRequests();
}

function serveFault(address: number, threadId: number): void {
  const block = blocks.findIndex((b) => address >= b.address && address < b.address + b.byteLength);
  const ram = blocks[block];
  if (ram === undefined) return; // not registered by us, cannot be
  const page = Math.floor((address - ram.address) / ram.pageBytes);
  counters.add('faults', 1);
  if ((received.bitmaps[block] as PageBitmap).has(page)) return resolveHere(ram, page);
  ledger.open(block, page, threadId, sharedMillis());
  const isNew = (requested[block] as PageBitmap).add(page);
  // A placing thread sets received and then looks at requested, this one the other way round: one of
  // the two always sees that somebody waits.
  if ((received.bitmaps[block] as PageBitmap).has(page)) {
    settleRun(ledger, requested[block] as PageBitmap, block, page, 1);
    return resolveHere(ram, page);
  }
  if (isNew) request(block, page);
}

/** Received: it has been placed since the fault was read, or it is zero and was never there. */
function resolveHere(ram: RamBlock, page: number): void {
  counters.add('localFaults', 1);
  const address = ram.address + page * ram.pageBytes;
  placeZeroPages(userfaultfd, address, ram.pageBytes, ram.pageBytes);
}

function request(block: number, page: number): void {
  if (!serving) return; // kept in the bitmap: asked for when there is a link again
  if (requestBytes === requests.byteLength) sendRequests();
  encodeFrameHeader(requestsView, requestBytes, FrameType.REQUEST, block, page, 1, 0);
  requestBytes += FRAME_HEADER_BYTES;
  counters.add('requests', 1);
}

function sendRequests(): void {
  if (requestBytes === 0) return;
  const bytes = requestBytes;
  requestBytes = 0;
  try {
    writeBytes(descriptor, requests.address, bytes);
  } catch (error) {
    serving = false;
    tell({ type: 'link-lost', message: describeFailure(error).message } satisfies FaultEvent);
  }
}

function requestOutstanding(): void {
  for (const [block, bitmap] of requested.entries()) {
    const here = received.bitmaps[block] as PageBitmap;
    for (let page = bitmap.next(0); page >= 0; page = bitmap.next(page + 1)) {
      if (!here.has(page)) request(block, page);
    }
  }
  sendRequests();
}

function collectSettled(): void {
  ledger.collect(addSettled);
}

function addSettled(threadId: number, askedMillis: number, placedMillis: number): void {
  histogram.add((placedMillis - askedMillis) * 1000);
  counters.add('blocktimeMillis', blocktime.add(threadId, askedMillis, placedMillis));
}

function writeFrame(frame: Uint8Array): void {
  const scratch = new ScratchBuffer(frame.byteLength);
  scratch.bytes.set(frame);
  writeBytes(descriptor, scratch.address, frame.byteLength);
}
