import { workerData } from 'node:worker_threads';
import { copyMemory, requestShortSlice, ScratchBuffer } from '@godwit/posix';
import {
  type ByteSource,
  channelSource,
  ChannelError,
  decodeControl,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  FrameReader,
  FrameType,
  hasPeerLeft,
  inflatePages,
  pollingSource,
  ZLIB_PAGES_BYTES_MAX,
} from '@godwit/transport';
import { checkPadding } from '../memory/bitmap-frames.ts';
import { FaultLedger, settleRun } from '../memory/fault-ledger.ts';
import { watchMissing } from '../memory/fault-source.ts';
import { discardPages, makeMissing } from '../memory/guest-ram.ts';
import { PageBitmap } from '../memory/page-bitmap.ts';
import { memoryModeOf, tableBitmap } from '../memory/portable-ram.ts';
import type { RamBlock } from '../memory/ram-block.ts';
import { ReceivedPages } from '../memory/received-pages.ts';
import { rehearseReceiving } from './bulk-rehearsal.ts';
import { countedReads } from './counted-reads.ts';
import { Counters, receiverCounters } from './counters.ts';
import { PagePlacer } from './page-placer.ts';
import { Placing, PlacingGate } from './placing-gate.ts';
import { PortablePlacer } from './portable-placer.ts';
import type { RamReceiverCommands, RamReceiverData, RamReceiverEvent } from './ram-receiver-api.ts';
import { rehearsePlacing } from './rehearsal.ts';
import { serveThread, tell } from './serve-thread.ts';
import { URGENT_SLICE_MICROS, yieldToGuest } from './priorities.ts';

/*
 * The destination's reader of the main channel; other threads of the same kind read the urgent channel
 * and the page channels.
 */

const STAGING_BYTES = 1024 * 1024;
const READ_AHEAD_BYTES = 64 * 1024;
/** In postcopy: what one read takes is not interrupted by who is woken meanwhile. */
const READ_AHEAD_BYTES_POSTCOPY = 256 * 1024;
const LONG_RUN_BYTES = 256 * 1024;

const data = workerData as RamReceiverData;
const { blocks, role } = data;
const pageBytes = blocks[0]?.pageBytes ?? 4096;
const blockPages = blocks.map((block) => block.byteLength / block.pageBytes);
const limits = { pageBytes, blockPages };
const received = new ReceivedPages(blockPages, data.received);
const requested = data.requested.map(
  (buffer, i) => new PageBitmap(blockPages[i] as number, buffer),
);
const ledger = new FaultLedger(data.ledger);
const gate = new PlacingGate(data.gate, () => hasPeerLeft(linkDescriptor));
const counters = new Counters(receiverCounters, data.counters);
const mode = memoryModeOf(blocks);
const Placer = mode === 'portable' ? PortablePlacer : PagePlacer;
const placer = new Placer({ blocks, received, requested, ledger, counters, gate }, () =>
  report({ type: 'complete' }),
);
/** In portable mode: what arrives in precopy exists, for the next migration of the guest. */
const written = blocks.map((block) => block.portable && tableBitmap(block, block.portable.written));
let byteSource: ByteSource = () => 0;
let linkDescriptor = -1;
/** Of all links: to get its memory anew takes milliseconds, which a recovery would wait for. */
const frameReader = new FrameReader(
  (address, byteLength) => byteSource(address, byteLength),
  STAGING_BYTES,
  READ_AHEAD_BYTES,
);
/** Of a page channel that brings compressed pages. */
let inflated: ScratchBuffer | undefined;
/** Sync points of this link that have been passed. */
let syncs = 0;
/** What is not received has become missing: pages are stale or not there from now on. */
let isThinned = false;
/** Postcopy listens, and its device state has not come. */
let awaitsDevice = false;

if (role === 'urgent') {
  requestShortSlice(URGENT_SLICE_MICROS);
  rehearsePlacing(mode);
} else {
  rehearseReceiving();
}
serveThread<RamReceiverCommands>({
  ready() {},
  run(descriptor) {
    syncs = 0;
    isThinned = false;
    awaitsDevice = false;
    linkDescriptor = descriptor;
    byteSource = countedReads(sourceOf(descriptor), counters);
    frameReader.reset();
    frameReader.readAheadBytes = READ_AHEAD_BYTES;
    while (frameReader.next(limits)) receiveFrame(frameReader);
  },
});

/** While requests go the other way on the same socket, nothing but pages shall wake this thread. */
function sourceOf(from: number): ByteSource {
  const blocking = channelSource(from);
  if (role !== 'main') return blocking;
  const polling = pollingSource(from);
  return (address, byteLength) =>
    gate.mode === Placing.BY_FAULT ? polling(address, byteLength) : blocking(address, byteLength);
}

function receiveFrame(reader: FrameReader): void {
  const { header } = reader;
  counters.add('bytes', header.bodyBytes);
  switch (header.type) {
    case FrameType.ZLIB_PAGES:
      if (role !== 'page' || !gate.takesCompressed) throw unexpected(header);
      return receiveRun(reader);
    case FrameType.PAGES:
    case FrameType.ZERO:
      return receiveRun(reader);
    case FrameType.HEARTBEAT:
      return;
    case FrameType.CONTROL:
      return obey(reader);
    default:
      if (role === 'main') return receiveMainFrame(reader);
      throw unexpected(header);
  }
}

/** @throws {ChannelError} `ERR_PROTOCOL`: no page belongs here now. */
function receiveRun(reader: FrameReader): void {
  const { header } = reader;
  const placing = gate.enter(data.reader);
  try {
    // The urgent channel is open before postcopy listens, and silent until then.
    const isEarly = role === 'urgent' && placing !== Placing.BY_FAULT;
    if (placing === Placing.CLOSED || isEarly) throw unexpected(header);
    if (role !== 'urgent' && placing === Placing.BY_FAULT && gate.isUrgentSeparate) yieldToGuest();
    reader.readAheadBytes = readAheadAfter(header, placing);
    if (header.type === FrameType.ZLIB_PAGES) return inflateRun(reader, placing);
    const isZero = header.type === FrameType.ZERO;
    if (placing === Placing.INTO_MEMORY) return isZero ? zeroRun(header) : readRun(reader);
    return isZero ? placer.placeZeroRun(header) : placer.placeRun(reader);
  } finally {
    gate.leave(data.reader);
  }
}

/** Pages that go straight into guest memory are copied once more where they were read ahead. */
function readAheadAfter(header: FrameHeader, placing: Placing): number {
  if (placing === Placing.BY_FAULT) return READ_AHEAD_BYTES_POSTCOPY;
  if (header.type === FrameType.ZLIB_PAGES) return STAGING_BYTES; // it is copied anyway
  // After a long run another one is likely: only its header is looked for.
  return header.bodyBytes >= LONG_RUN_BYTES ? FRAME_HEADER_BYTES : READ_AHEAD_BYTES;
}

function obey(reader: FrameReader): void {
  if (role === 'urgent') throw unexpected(reader.header);
  const message = decodeControl(reader.readBody());
  if (message.t === 'sync') return sync(message.n);
  if (role !== 'main') throw unexpected(reader.header);
  if (message.t === 'listen') beginPostcopy();
  report({ type: 'control', message });
}

/** Nothing that follows is taken before all that came before is, on every channel that carries pages. */
function sync(n: number): void {
  syncs += 1;
  if (n !== syncs || gate.pageChannels === 0) {
    throw new ChannelError('ERR_PROTOCOL', `sync point ${n} where ${syncs} was expected`);
  }
  gate.arrive(n);
}

function receiveMainFrame(reader: FrameReader): void {
  const { header } = reader;
  switch (header.type) {
    case FrameType.DISCARD:
      thin(header);
      return discardRuns(header, reader.readBody());
    case FrameType.DEVICE:
      return receiveDevice(reader);
    default:
      throw unexpected(header);
  }
}

/** Once, and before a byte of it is read: after a pass of what was agreed on, or when postcopy listens. */
function receiveDevice(reader: FrameReader): void {
  if (gate.mode !== Placing.INTO_MEMORY && !awaitsDevice) throw unexpected(reader.header);
  awaitsDevice = false;
  if (gate.mode === Placing.INTO_MEMORY) gate.close();
  report({ type: 'device', state: reader.readBody() });
}

/**
 * The passes are over, and the guest goes on as postcopy: no page comes until it listens, and what has
 * not arrived becomes missing.
 */
function thin(header: FrameHeader): void {
  if (isThinned && gate.mode === Placing.CLOSED) return;
  if (gate.userfaultfd < 0 || gate.mode !== Placing.INTO_MEMORY) throw unexpected(header);
  isThinned = true;
  gate.close();
  for (const [index, block] of blocks.entries()) {
    makeMissing(block, received.bitmaps[index] as PageBitmap);
  }
}

/** From here on a page is there or is missing; the source has said which of them are stale. */
function beginPostcopy(): void {
  if (!isThinned || gate.mode !== Placing.CLOSED) {
    throw new ChannelError('ERR_PROTOCOL', "'listen' without a DISCARD before it, or twice");
  }
  watchMissing(gate.userfaultfd, blocks);
  awaitsDevice = true;
  gate.placeByFault();
}

function readRun(reader: FrameReader): void {
  const { block, firstPage, pageCount } = reader.header;
  reader.readInto(addressOf(block, firstPage));
  addContent(block, firstPage, pageCount);
}

/** All of the frame is known to be good before any page of it is in place. */
function inflateRun(reader: FrameReader, placing: Placing): void {
  const { header } = reader;
  const { block, firstPage, pageCount } = header;
  inflated ??= new ScratchBuffer(ZLIB_PAGES_BYTES_MAX);
  inflatePages(reader.stageBody(), inflated.bytes.subarray(0, pageCount * pageBytes));
  reader.consume(header.bodyBytes);
  if (placing === Placing.BY_FAULT) return placer.placeCopyOf(header, inflated.address);
  copyMemory(addressOf(block, firstPage), inflated.address, pageCount * pageBytes);
  addContent(block, firstPage, pageCount);
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
  checkPadding('DISCARD', header, bits);
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

/** Of pages that were stored to guest memory. */
function addContent(block: number, first: number, count: number): void {
  counters.add('normalPages', count);
  written[block]?.addRun(first, count);
  add(block, first, count);
}

/** After the content is in place, never before. */
function add(block: number, first: number, count: number): void {
  const isNowComplete = received.addRun(block, first, count);
  settleRun(ledger, requested[block] as PageBitmap, block, first, count);
  if (isNowComplete) report({ type: 'complete' });
}

function addressOf(block: number, page: number): number {
  return (blocks[block] as RamBlock).address + page * pageBytes;
}

function unexpected(header: FrameHeader): ChannelError {
  const type = header.type.toString(16);
  return new ChannelError(
    'ERR_PROTOCOL',
    `frame type 0x${type} does not belong here (${role} channel)`,
  );
}

function report(event: RamReceiverEvent): void {
  if (event.type !== 'complete') gate.tellOne();
  // What nobody here needs any more is handed over, not copied: device state may be long.
  tell(event, event.type === 'device' ? [event.state.buffer as ArrayBuffer] : []);
}
