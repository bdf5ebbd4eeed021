import { workerData } from 'node:worker_threads';
import { copyMemory, requestShortSlice, ScratchBuffer } from '@godwit/posix';
import {
  type ByteSource,
  channelSource,
  CHECKED_PAGES_BYTES_MAX,
  ChannelError,
  decodeControl,
  type FrameHeader,
  FrameReader,
  FrameType,
  hasPeerLeft,
  inflatePages,
  ZLIB_PAGES_BYTES_MAX,
} from '@godwit/transport';
import { FaultLedger, settleRun } from '../memory/fault-ledger.ts';
import { watchMissing } from '../memory/fault-source.ts';
import { makeMissing } from '../memory/guest-ram.ts';
import { PageBitmap } from '../memory/page-bitmap.ts';
import { memoryModeOf, tableBitmap } from '../memory/portable-ram.ts';
import { PageSums } from '../memory/page-sums.ts';
import type { RamBlock } from '../memory/ram-block.ts';
import { ramDigests } from '../memory/ram-digest.ts';
import { ReceivedPages } from '../memory/received-pages.ts';
import { discardStale, makeZero } from '../memory/stale-pages.ts';
import { rehearseReceiving } from './bulk-rehearsal.ts';
import { CheckedRuns } from './checked-runs.ts';
import { countedReads } from './counted-reads.ts';
import { Counters, receiverCounters } from './counters.ts';
import { mainSource } from './main-source.ts';
import { PagePlacer } from './page-placer.ts';
import { Placing, PlacingGate } from './placing-gate.ts';
import { PortablePlacer } from './portable-placer.ts';
import type { RamReceiverCommands, RamReceiverData, RamReceiverEvent } from './ram-receiver-api.ts';
import { READ_AHEAD_BYTES, readAheadAfter, STAGING_BYTES } from './read-ahead.ts';
import { rehearsePlacing } from './rehearsal.ts';
import { serveThread, tell } from './serve-thread.ts';
import { unexpectedFrame } from './unexpected-frame.ts';
import { URGENT_SLICE_MICROS, yieldToGuest } from './priorities.ts';

/*
 * The destination's reader of the main channel; other threads of the same kind read the urgent channel
 * and the page channels.
 */

const data = workerData as RamReceiverData;
const { blocks, role } = data;
const pageBytes = blocks[0]?.pageBytes ?? 4096;
const blockPages = blocks.map((block) => block.byteLength / block.pageBytes);
/** Checked with `x-checksum`: on the first link from the frame on that follows `start`. */
const limits = { pageBytes, blockPages, checked: false };
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
const sums = new PageSums(blocks, data.sums);
const checkedRuns = new CheckedRuns(
  {
    blocks,
    received,
    damaged: data.damaged.map((buffer, i) => new PageBitmap(blockPages[i] as number, buffer)),
    counters,
  },
  ({ block, firstPage, pageCount }) => report({ type: 'damaged', block, firstPage, pageCount }),
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
    limits.checked = gate.checks;
    checkedRuns.reset();
    linkDescriptor = descriptor;
    const source = role === 'main' ? mainSource(descriptor, gate) : channelSource(descriptor);
    byteSource = countedReads(source, counters);
    frameReader.reset();
    frameReader.readAheadBytes = READ_AHEAD_BYTES;
    while (frameReader.next(limits)) receiveFrame(frameReader);
  },
});

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
    if (isZero && gate.sumsPages) sums.noteZeros(header.block, header.firstPage, header.pageCount);
    if (placing === Placing.INTO_MEMORY) return isZero ? zeroRun(header) : readRun(reader);
    if (isZero) return placer.placeZeroRun(header);
    return limits.checked || gate.sumsPages ? placeWhole(reader) : placer.placeRun(reader);
  } finally {
    gate.leave(data.reader);
  }
}

function obey(reader: FrameReader): void {
  if (role === 'urgent') throw unexpected(reader.header);
  const message = decodeControl(reader.readBody());
  if (message.t === 'sync') return sync(message.n);
  if (role !== 'main') throw unexpected(reader.header);
  if (message.t === 'start') limits.checked = message.caps.includes('x-checksum');
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
      return discardStale(blocks, received, header, reader.readBody());
    case FrameType.DEVICE:
      return receiveDevice(reader);
    default:
      throw unexpected(header);
  }
}

/** Once, and before a byte of it is read: after a pass of what was agreed on, or when postcopy listens. */
function receiveDevice(reader: FrameReader): void {
  const isPrecopy = gate.mode === Placing.INTO_MEMORY;
  if (!isPrecopy && !awaitsDevice) throw unexpected(reader.header);
  awaitsDevice = false;
  if (isPrecopy) gate.close();
  const state = reader.readBody();
  // No page changes any more: RAM is what the guest will find.
  const ram = isPrecopy && gate.digestsRam ? { ram: ramDigests(blocks) } : {};
  report({ type: 'device', state, ...ram });
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
  const { header } = reader;
  const { block, firstPage, pageCount } = header;
  reader.readInto(addressOf(block, firstPage));
  if (limits.checked && !checkedRuns.isIntactInMemory(header)) return;
  addContent(block, firstPage, pageCount);
}

/** All of the frame is looked at before any page of it is in place. */
function placeWhole(reader: FrameReader): void {
  const { header } = reader;
  if (header.bodyBytes > CHECKED_PAGES_BYTES_MAX) throw unexpected(header);
  const body = reader.stageBody();
  if (!limits.checked || checkedRuns.isIntact(header, body, Placing.BY_FAULT)) {
    placeContent(header, body, reader.stage(header.bodyBytes));
  }
  reader.consume(header.bodyBytes);
}

function placeContent(header: FrameHeader, pages: Uint8Array, source: number): void {
  if (gate.sumsPages) sums.note(header.block, header.firstPage, pages); // before it counts as received
  placer.placeCopyOf(header, source);
}

/** All of the frame is known to be good before any page of it is in place. */
function inflateRun(reader: FrameReader, placing: Placing): void {
  const { header } = reader;
  const { block, firstPage, pageCount } = header;
  inflated ??= new ScratchBuffer(ZLIB_PAGES_BYTES_MAX);
  const body = reader.stageBody();
  const isIntact = !limits.checked || checkedRuns.isIntact(header, body, placing);
  const pages = inflated.bytes.subarray(0, pageCount * pageBytes);
  if (isIntact) inflatePages(body, pages);
  reader.consume(header.bodyBytes);
  if (!isIntact) return;
  if (placing === Placing.BY_FAULT) return placeContent(header, pages, inflated.address);
  copyMemory(addressOf(block, firstPage), inflated.address, pageCount * pageBytes);
  addContent(block, firstPage, pageCount);
}

function zeroRun({ block, firstPage, pageCount }: FrameHeader): void {
  const bitmap = received.bitmaps[block] as PageBitmap;
  makeZero(blocks[block] as RamBlock, bitmap, firstPage, pageCount);
  counters.add('zeroPages', pageCount);
  add(block, firstPage, pageCount);
}

/** Of pages that were stored to guest memory. */
function addContent(block: number, first: number, count: number): void {
  if (gate.sumsPages) sums.noteMemory(block, first, count);
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
  return unexpectedFrame(header, `${role} channel`);
}

function report(event: RamReceiverEvent): void {
  if (event.type !== 'complete' && event.type !== 'damaged') gate.tellOne(); // these have limits
  // What nobody here needs any more is handed over, not copied: device state may be long.
  tell(event, event.type === 'device' ? [event.state.buffer as ArrayBuffer] : []);
}
