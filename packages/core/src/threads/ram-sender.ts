import { workerData } from 'node:worker_threads';
import { ScratchBuffer } from '@godwit/posix';
import { encodeControl, FrameType, sealFrame, writeBytes } from '@godwit/transport';
import { bitmapFrames } from '../memory/bitmap-frames.ts';
import type { DirtyLog } from '../memory/dirty-log.ts';
import { openDirtyLog } from '../memory/open-dirty-log.ts';
import { PageBitmap } from '../memory/page-bitmap.ts';
import { PageSums } from '../memory/page-sums.ts';
import { ramDigests } from '../memory/ram-digest.ts';
import { RamChunks } from '../memory/ram-chunks.ts';
import { Counters, senderCounters } from './counters.ts';
import { Heartbeat } from './heartbeat.ts';
import { Pacer } from './pacer.ts';
import { PageBatch } from './page-batch.ts';
import { RunCompressor } from './run-compressor.ts';
import { SenderControl } from './sender-control.ts';
import type {
  RamSenderCommands,
  RamSenderData,
  RamSenderEvent,
  SwitchoverOrder,
  SwitchoverResult,
  TransferResult,
  TransferOrder,
} from './ram-sender-api.ts';
import { describeFailure, serveThread, tell } from './serve-thread.ts';
import { rehearseSending } from './bulk-rehearsal.ts';

/*
 * The source's writer of the main channel: dirty pages, and every control frame between them. With page
 * channels each has a thread of this kind, which takes a share of the pages.
 */

/**
 * How much leaves in one writev while nothing waits behind it; and in postcopy, where a page that is
 * asked for may be in it, or waits for its end, and so does who is woken meanwhile.
 */
const BATCH_BYTES = 1024 * 1024;
const BATCH_BYTES_POSTCOPY = 128 * 1024;
/** Upper bound of one sleep, so that a lost wake-up could never stall a transfer. */
const SLEEP_MILLIS_MAX = 1000;

const data = workerData as RamSenderData;
const { blocks, pageChannel, checks } = data;
const dirty = data.dirty.map((buffer, i) => new PageBitmap(data.blockPages[i] as number, buffer));
const present = data.present.map(
  (buffer, i) => new PageBitmap(data.blockPages[i] as number, buffer),
);
/** What the destination knows to be stale. */
const told = data.blockPages.map((pages) => new PageBitmap(pages));
const control = new SenderControl(data.control);
const counters = new Counters(senderCounters, data.counters);
const zlibLevel = pageChannel?.zlibLevel;
const compressor = zlibLevel === undefined ? undefined : new RunCompressor(zlibLevel);
const sums = data.sums && new PageSums(blocks, data.sums);
const batch = new PageBatch(
  { blocks, dirty, present },
  { looksForZeros, compressor, checks, sums },
);
const chunks = new RamChunks(data.blockPages);
const pacer = new Pacer();
const heartbeat = new Heartbeat();
let idleBeats: NodeJS.Timeout | undefined;
/** On the main channel only what follows `start`, which asks for it. */
let seals = checks && pageChannel !== undefined;
if (seals) heartbeat.seal();
let descriptor = -1;
let dirtyLog: DirtyLog | undefined;

rehearseSending();
serveThread<RamSenderCommands>({
  ready() {},
  attach(order) {
    descriptor = order.descriptor;
    batch.clear();
    heartbeat.start(descriptor, order.heartbeat, performance.now());
    beatWhenIdle();
  },
  track() {
    dirtyLog = openDirtyLog(blocks, beat);
    for (const bitmap of dirty) bitmap.fill();
    dirtyLog.sync(dirty, present);
    counters.add('syncs', 1);
    return { dirtyPages: countDirty() };
  },
  sync() {
    const dirtiedPages = dirtyLog?.sync(dirty, present) ?? 0;
    counters.add('syncs', 1);
    return { dirtyPages: countDirty(), dirtiedPages };
  },
  collect() {
    return { dirtiedPages: collect() };
  },
  look() {
    return { writtenPages: dirtyLog?.writtenPages() ?? 0 };
  },
  untrack() {
    dirtyLog?.[Symbol.dispose]();
    dirtyLog = undefined;
  },
  transfer,
  switchover,
  discard,
  write(frames) {
    for (const frame of frames) write(frame);
  },
  digest() {
    return ramDigests(blocks, present, beat);
  },
  seal(last) {
    for (const frame of last) write(frame);
    heartbeat.seal();
    seals = true;
  },
});

/** Sends the dirty pages that no other sender does, each once, requested ones first; or until stopped. */
function transfer(order: TransferOrder): TransferResult {
  const started = performance.now();
  const bytesBefore = counters.get('bytes');
  const stopped = !transferPages(order);
  if (order.sync !== undefined) write(encodeControl({ t: 'sync', n: order.sync }));
  if (!stopped && order.pass !== undefined) write(encodeControl({ t: 'pass', n: order.pass }));
  return {
    stopped,
    bytes: counters.get('bytes') - bytesBefore,
    millis: performance.now() - started,
  };
}

function switchover(order: SwitchoverOrder): SwitchoverResult {
  const started = performance.now();
  const bytesBefore = counters.get('bytes');
  const dirtiedPages = collect();
  const synced = performance.now();
  if (order.transfer === undefined) discard();
  const stopped =
    order.transfer !== undefined &&
    !transferPages({ transfer: order.transfer, rate: 'unlimited', senders: 1 });
  const sent = performance.now();
  if (!stopped) for (const frame of order.frames) write(frame);
  return {
    stopped,
    dirtiedPages,
    bytes: counters.get('bytes') - bytesBefore,
    millis: performance.now() - started,
    syncMillis: synced - started,
    pagesMillis: sent - synced,
  };
}

function collect(): number {
  counters.add('syncs', 1);
  return dirtyLog?.collect(dirty, present) ?? 0;
}

function discard(): void {
  const news = dirty.map((bitmap, block) => bitmap.newIn(told[block] as PageBitmap));
  for (const frame of bitmapFrames(FrameType.DISCARD, news)) write(frame);
}

function transferPages(order: TransferOrder): boolean {
  for (let chunk = control.nextChunk(); ; chunk = control.nextChunk()) {
    const at = chunks.locate(chunk);
    if (at === undefined) break;
    if (!transferChunk(order, at.block, at.firstPage, at.limit)) return false;
  }
  flush();
  return true;
}

function transferChunk(
  order: TransferOrder,
  block: number,
  firstPage: number,
  limit: number,
): boolean {
  const bitmap = dirty[block] as PageBitmap;
  for (let page = bitmap.next(firstPage, limit); page >= 0; page = bitmap.next(page, limit)) {
    if (!waitForTurn(order)) return false;
    const pages = Math.min(limit - page, pagesPerClaim(order));
    page += order.zerosOnly
      ? batch.claimZeros(block, page, pages)
      : batch.claim(block, page, pages);
    if (batch.isFull || batch.byteLength >= batchBytes(order)) flush();
  }
  return true;
}

/** With `legacy` page channels leave that to the thread of the main channel. */
function looksForZeros(): boolean {
  const mode = control.zeroPageDetection;
  return mode === 'multifd' || (mode === 'legacy' && pageChannel === undefined);
}

/** Sleeps as the bandwidth limit asks; requested pages leave meanwhile, exempt from it. */
function waitForTurn(order: TransferOrder): boolean {
  for (;;) {
    const { wakeCount } = control;
    if (control.isStopped(order.transfer)) {
      flush();
      return false;
    }
    serveRequests();
    const now = performance.now();
    heartbeat.beat(now); // between two frames: what is claimed is not written yet, or all of it
    const millis = pacer.waitMillis(bandwidth(order), now);
    if (millis <= 0) return true;
    flush();
    const asleep = performance.now();
    control.sleep(wakeCount, Math.min(millis, SLEEP_MILLIS_MAX, heartbeat.restMillis(asleep)));
    counters.add('pacedMillis', performance.now() - asleep);
  }
}

/** Without the urgent channel the return path leaves requests in a ring, and the senders claim them. */
function serveRequests(): void {
  for (;;) {
    const request = control.takeRequest();
    if (request === undefined) return;
    const [block, page] = request;
    if (dirty[block]?.take(page) !== true) continue;
    flush(); // of the bulk, which counts
    batch.addClaimed(block, page);
    flush('requested');
  }
}

/** Requested pages are exempt from the bandwidth limit, as in QEMU. */
function flush(kind: 'bulk' | 'requested' = 'bulk'): void {
  const { normalPages, zeroPages } = batch;
  const started = performance.now();
  const bytes = batch.write(descriptor);
  if (bytes === 0) return;
  const now = performance.now();
  if (kind === 'bulk') pacer.sent(bytes, now);
  counters.add('writeMillis', now - started);
  counters.add('bytes', bytes);
  counters.add('normalPages', normalPages);
  counters.add('zeroPages', zeroPages);
  batch.normalPages = 0;
  batch.zeroPages = 0;
}

function pagesPerClaim(order: TransferOrder): number {
  const pageBytes = blocks[0]?.pageBytes ?? 4096;
  return Math.max(1, Math.floor((batchBytes(order) - batch.byteLength) / pageBytes));
}

function batchBytes(order: TransferOrder): number {
  const max = order.rate === 'postcopy' ? BATCH_BYTES_POSTCOPY : BATCH_BYTES;
  return pacer.batchBytes(bandwidth(order), 1, max);
}

/** Within a command that may take long; between two frames. */
function beat(): void {
  heartbeat.beat(performance.now());
}

/** Between two commands; a transfer sees to it by itself. */
function beatWhenIdle(): void {
  clearTimeout(idleBeats);
  const millis = heartbeat.restMillis(performance.now());
  if (millis === Infinity) return;
  idleBeats = setTimeout(() => {
    try {
      heartbeat.beat(performance.now());
    } catch (error) {
      tell({ type: 'link-lost', message: describeFailure(error).message } satisfies RamSenderEvent);
    }
    beatWhenIdle();
  }, Math.ceil(millis)).unref();
}

/** This thread's share of the limit, in bytes per second. */
function bandwidth(order: TransferOrder): number {
  return control.bandwidth(order.rate) / order.senders;
}

function write(frame: Uint8Array): void {
  if (seals) sealFrame(frame);
  const scratch = new ScratchBuffer(frame.byteLength);
  scratch.bytes.set(frame);
  writeBytes(descriptor, scratch.address, frame.byteLength);
  scratch.keep();
  counters.add('bytes', frame.byteLength);
}

function countDirty(): number {
  let pages = 0;
  for (const bitmap of dirty) pages += bitmap.count();
  return pages;
}
