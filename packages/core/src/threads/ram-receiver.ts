import { workerData } from 'node:worker_threads';
import {
  channelSource,
  ChannelError,
  decodeControl,
  type FrameHeader,
  FrameReader,
  FrameType,
} from '@godwit/transport';
import { FaultLedger, settleRun } from '../memory/fault-ledger.ts';
import { placePages, placeZeroPages, watchMissing } from '../memory/fault-source.ts';
import { discardPages } from '../memory/guest-ram.ts';
import { PageBitmap } from '../memory/page-bitmap.ts';
import type { RamBlock } from '../memory/ram-block.ts';
import { ReceivedPages } from '../memory/received-pages.ts';
import { Counters, receiverCounters } from './counters.ts';
import type {
  PlacingMode,
  RamReceiverCommands,
  RamReceiverData,
  RamReceiverEvent,
} from './ram-receiver-api.ts';
import { serveThread, tell } from './serve-thread.ts';

/*
 * The destination's reader of the main channel and, as a second thread, of the urgent channel.
 */

const STAGING_BYTES = 1024 * 1024;
/** In precopy pages go straight into guest memory; what is read ahead is copied once more. */
const READ_AHEAD_BYTES = 64 * 1024;

const data = workerData as RamReceiverData;
const { blocks } = data;
const pageBytes = blocks[0]?.pageBytes ?? 4096;
const blockPages = blocks.map((block) => block.byteLength / block.pageBytes);
const limits = { pageBytes, blockPages };
const received = new ReceivedPages(blockPages, data.received);
const requested = data.requested.map(
  (buffer, i) => new PageBitmap(blockPages[i] as number, buffer),
);
const ledger = new FaultLedger(data.ledger);
/** Written by the main thread before it tells the source 'started', so before any page comes. */
const sharedUserfaultfd = new Int32Array(data.userfaultfd);
const counters = new Counters(receiverCounters, data.counters);
let descriptor = -1;
let mode: PlacingMode = 'precopy';

serveThread<RamReceiverCommands>({
  run(argument) {
    descriptor = argument.descriptor;
    mode = argument.mode;
    const reader = new FrameReader(
      channelSource(descriptor),
      STAGING_BYTES,
      mode === 'precopy' ? READ_AHEAD_BYTES : STAGING_BYTES,
    );
    while (reader.next(limits)) receiveFrame(reader);
  },
});

function receiveFrame(reader: FrameReader): void {
  const { header } = reader;
  counters.add('bytes', header.bodyBytes);
  switch (header.type) {
    case FrameType.PAGES:
      return isPlacing(header) ? placeRun(reader) : readRun(reader);
    case FrameType.ZERO:
      return isPlacing(header) ? placeZeroRun(header) : zeroRun(header);
    case FrameType.HEARTBEAT:
      return;
    default:
      if (data.role === 'main') return receiveMainFrame(reader);
      throw unexpected(header);
  }
}

/** @throws {ChannelError} `ERR_PROTOCOL`: no page belongs here now. */
function isPlacing(header: FrameHeader): boolean {
  if (mode === 'sealed') throw unexpected(header);
  // The urgent channel is open before the ranges are registered, and silent until then.
  if (mode === 'postcopy' && Atomics.load(sharedUserfaultfd, 1) === 0) throw unexpected(header);
  return mode === 'postcopy';
}

function receiveMainFrame(reader: FrameReader): void {
  const { header } = reader;
  switch (header.type) {
    case FrameType.DISCARD:
      if (mode !== 'precopy') throw unexpected(header);
      return discardRuns(header, reader.readBody());
    case FrameType.DEVICE:
      if (mode === 'precopy') mode = 'sealed';
      return report({ type: 'device', state: reader.readBody() });
    case FrameType.CONTROL: {
      const message = decodeControl(reader.readBody());
      if (message.t === 'listen') beginPostcopy();
      return report({ type: 'control', message });
    }
    default:
      throw unexpected(header);
  }
}

/** From here on a page is there or is missing; the source has said which of them are stale. */
function beginPostcopy(): void {
  const userfaultfd = userfaultfdNow();
  if (userfaultfd < 0 || mode !== 'precopy') {
    throw new ChannelError('ERR_PROTOCOL', "'listen' without postcopy-ram, or twice");
  }
  watchMissing(userfaultfd, blocks);
  Atomics.store(sharedUserfaultfd, 1, 1);
  mode = 'postcopy';
}

function readRun(reader: FrameReader): void {
  const { block, firstPage, pageCount } = reader.header;
  reader.readInto(addressOf(block, firstPage));
  counters.add('normalPages', pageCount);
  add(block, firstPage, pageCount);
}

/** Pages that never arrived are zero as they are; the others must become so again. */
function zeroRun(header: FrameHeader): void {
  const { block, firstPage, pageCount } = header;
  const bitmap = received.bitmaps[block] as PageBitmap;
  const end = firstPage + pageCount;
  for (let page = bitmap.next(firstPage, end); page >= 0;) {
    const clear = bitmap.nextClear(page, end);
    const runEnd = clear < 0 ? end : clear;
    discardPages(blocks[block] as RamBlock, page, runEnd - page);
    page = bitmap.next(runEnd, end);
  }
  counters.add('zeroPages', pageCount);
  add(block, firstPage, pageCount);
}

function discardRuns(header: FrameHeader, bits: Uint8Array): void {
  const { block, firstPage, pageCount } = header;
  const bitmap = received.bitmaps[block] as PageBitmap;
  const stale = new PageBitmap(firstPage + pageCount);
  new Uint8Array(stale.buffer).set(bits, firstPage / 8);
  stale.forEachRun((first, count) => {
    // A page that never came is not there; only what came takes a system call.
    if (bitmap.next(first, first + count) < 0) return;
    discardPages(blocks[block] as RamBlock, first, count);
    received.removeRun(block, first, count);
  });
}

/** Places pages as they come off the wire: a page is placed whole or not at all. */
function placeRun(reader: FrameReader): void {
  const { block } = reader.header;
  let page = reader.header.firstPage;
  while (reader.bodyBytesLeft > 0) {
    const source = reader.stage(pageBytes);
    const bytes = Math.min(reader.stagedBytes, reader.bodyBytesLeft);
    const pages = Math.floor(bytes / pageBytes);
    placeStaged(block, page, pages, source);
    reader.consume(pages * pageBytes);
    page += pages;
  }
  counters.add('normalPages', reader.header.pageCount);
}

/** What is received already is left alone: the guest may have written it since. */
function placeStaged(block: number, first: number, count: number, source: number): void {
  const bitmap = received.bitmaps[block] as PageBitmap;
  const end = first + count;
  for (let page = first; page < end;) {
    const known = bitmap.next(page, end);
    const runEnd = known < 0 ? end : known;
    if (runEnd > page) {
      const address = addressOf(block, page);
      const from = source + (page - first) * pageBytes;
      const bytes = (runEnd - page) * pageBytes;
      const duplicates = placePages(userfaultfdNow(), address, from, bytes, pageBytes);
      counters.add('duplicatePages', duplicates);
      add(block, page, runEnd - page);
    }
    if (known < 0) return;
    const clear = bitmap.nextClear(known, end);
    page = clear < 0 ? end : clear;
    counters.add('duplicatePages', page - known);
  }
}

/**
 * Received and not there means zero: nothing is placed but what somebody waits for, however long the
 * run. Whoever touches a page later is served by the fault thread, from here.
 */
function placeZeroRun(header: FrameHeader): void {
  const { block, firstPage, pageCount } = header;
  counters.add('zeroPages', pageCount);
  const end = firstPage + pageCount;
  const wanted = requested[block] as PageBitmap;
  const isNowComplete = received.addRun(block, firstPage, pageCount);
  for (let page = wanted.next(firstPage, end); page >= 0; page = wanted.next(page + 1, end)) {
    placeZeroPages(userfaultfdNow(), addressOf(block, page), pageBytes, pageBytes);
  }
  settleRun(ledger, wanted, block, firstPage, pageCount);
  if (isNowComplete) report({ type: 'complete' });
}

/** After the content is in place, never before. */
function add(block: number, first: number, count: number): void {
  const isNowComplete = received.addRun(block, first, count);
  settleRun(ledger, requested[block] as PageBitmap, block, first, count);
  if (isNowComplete) report({ type: 'complete' });
}

function userfaultfdNow(): number {
  return Atomics.load(sharedUserfaultfd, 0);
}

function addressOf(block: number, page: number): number {
  return (blocks[block] as RamBlock).address + page * pageBytes;
}

function unexpected(header: FrameHeader): ChannelError {
  const type = header.type.toString(16);
  return new ChannelError('ERR_PROTOCOL', `frame type 0x${type} does not belong here (${mode})`);
}

function report(event: RamReceiverEvent): void {
  tell(event);
}
