import { closeSync, constants, openSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { drainEventfd, POLLIN, PollSet, requestShortSlice, ScratchBuffer } from '@godwit/posix';
import { sealFrame, writeBytes } from '@godwit/transport';
import { Blocktime, type ThreadWaits } from '../memory/blocktime.ts';
import { FaultLedger } from '../memory/fault-ledger.ts';
import { LatencyHistogram } from '../memory/latency-histogram.ts';
import { PageBitmap } from '../memory/page-bitmap.ts';
import { ReceivedPages } from '../memory/received-pages.ts';
import { Counters, faultCounters } from './counters.ts';
import type { FaultCommands, FaultData, FaultEvent } from './fault-api.ts';
import { FaultServer } from './fault-server.ts';
import { Heartbeat } from './heartbeat.ts';
import { rehearseFaults } from './rehearsal.ts';
import { describeFailure, servePending, tell } from './serve-thread.ts';
import { URGENT_SLICE_MICROS } from './priorities.ts';

/*
 * The destination's writer of the return path: it sleeps on the userfaultfd and on an eventfd for the
 * main thread's commands. Touching guest memory here would be a deadlock: nobody else serves faults.
 */

const data = workerData as FaultData;
const { blocks } = data;
const blockPages = blocks.map((block) => block.byteLength / block.pageBytes);
const blocktime = new Blocktime(data.vcpus);
const tables = {
  blocks,
  received: new ReceivedPages(blockPages, data.received),
  requested: data.requested.map((buffer, i) => new PageBitmap(blockPages[i] as number, buffer)),
  faulted: data.faulted.map((buffer, i) => new PageBitmap(blockPages[i] as number, buffer)),
  damaged: data.damaged.map((buffer, i) => new PageBitmap(blockPages[i] as number, buffer)),
  ledger: new FaultLedger(data.ledger),
  counters: new Counters(faultCounters, data.counters),
  histogram: new LatencyHistogram(data.histogram),
  blocktime,
};
const server = new FaultServer(tables, tellLost);
const heartbeat = new Heartbeat();
const poll = new PollSet(2);
let descriptor = -1;
/** Of the guardian's pipe: opened by way of Node, which closes it with this thread, however that ends. */
let guarded = -1;
let goesOn = true;

const handlers = {
  watch(userfaultfd: number): void {
    server.watch(userfaultfd);
    poll.set(1, userfaultfd, POLLIN); // poll(2) passes over a negative descriptor
  },
  guard(writer: number): number {
    const before = guarded;
    guarded = openSync(`/proc/self/fd/${writer}`, constants.O_WRONLY);
    if (before >= 0) closeSync(before);
    return guarded;
  },
  attach(newDescriptor: number): void {
    descriptor = newDescriptor;
    server.attach(newDescriptor);
    heartbeat.stop();
  },
  beat(intervalMillis: number): void {
    heartbeat.start(descriptor, intervalMillis, performance.now());
  },
  write(frames: readonly Uint8Array[]): void {
    for (const frame of frames) writeFrame(frame);
  },
  seal(last: readonly Uint8Array[]): void {
    for (const frame of last) writeFrame(frame);
    heartbeat.seal();
    server.seals = true;
  },
  resend(): void {
    server.requestDamaged();
  },
  serve(): void {
    server.requestOutstanding();
  },
  blocktime(): readonly ThreadWaits[] {
    server.collectSettled();
    return blocktime.byThread();
  },
};

requestShortSlice(URGENT_SLICE_MICROS);
rehearseFaults();
poll.set(0, data.eventfd, POLLIN);
while (goesOn) {
  poll.poll(restMillis(), 2);
  if (poll.revents(1) !== 0) server.serveFaults();
  if (poll.revents(0) !== 0) {
    drainEventfd(data.eventfd);
    goesOn = servePending<FaultCommands>(handlers);
  }
  beat();
}

/** What poll(2) takes: whole milliseconds, -1 for ever. */
function restMillis(): number {
  const millis = heartbeat.restMillis(performance.now());
  return millis === Infinity ? -1 : Math.ceil(millis);
}

/** After the faults: nobody waits for it. */
function beat(): void {
  try {
    heartbeat.beat(performance.now());
  } catch (error) {
    tellLost(error);
  }
}

function tellLost(error: unknown): void {
  tell({ type: 'link-lost', message: describeFailure(error).message } satisfies FaultEvent);
}

function writeFrame(frame: Uint8Array): void {
  if (server.seals) sealFrame(frame);
  const scratch = new ScratchBuffer(frame.byteLength);
  scratch.bytes.set(frame);
  writeBytes(descriptor, scratch.address, frame.byteLength);
  scratch.keep();
}
