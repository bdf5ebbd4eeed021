import { closeSync, openSync } from 'node:fs';
import { copyMemory, ScratchBuffer } from '@godwit/posix';
import {
  type ByteSource,
  encodeFrameHeader,
  FRAME_HEADER_BYTES,
  FrameReader,
  FrameType,
} from '@godwit/transport';
import { FaultLedger, settleRun } from '../memory/fault-ledger.ts';
import { PageBitmap } from '../memory/page-bitmap.ts';
import type { RamBlock } from '../memory/ram-block.ts';
import { ReceivedPages } from '../memory/received-pages.ts';
import { Counters, receiverCounters } from './counters.ts';
import { PageBatch } from './page-batch.ts';
import { Placing, PlacingGate } from './placing-gate.ts';

/*
 * The threads of the bulk do in a rehearsal what they will do: so their code is compiled before the first
 * page, and not while the first hundred milliseconds of pages, half a gigabyte, go at a quarter of the speed.
 */

const PAGE_BYTES = 4096;
const PAGES = 256;
/** As often as the compiler asks for; some ten milliseconds. */
const ROUNDS = 250;

/** Sends pages of nothing to nowhere. */
export function rehearseSending(): void {
  const memory = new ScratchBuffer((PAGES + 1) * PAGE_BYTES);
  memory.bytes.fill(1);
  const address = Math.ceil(memory.address / PAGE_BYTES) * PAGE_BYTES;
  const byteLength = PAGES * PAGE_BYTES;
  const block: RamBlock = { id: '', byteLength, pageBytes: PAGE_BYTES, address, backing: 'anon' };
  const dirty = new PageBitmap(PAGES);
  const present = new PageBitmap(PAGES);
  present.fill();
  const batch = new PageBatch({ blocks: [block], dirty: [dirty], present: [present] });
  const nowhere = openSync('/dev/null', 'w');
  for (let round = 0; round < ROUNDS; round++) {
    dirty.fill();
    for (let page = dirty.next(0); page >= 0; page = dirty.next(page)) {
      page += batch.claim(0, page, round % 4 === 0 ? 1 : PAGES);
    }
    batch.write(nowhere);
  }
  closeSync(nowhere);
  memory.keep();
}

/** Takes runs of pages that nobody sent, into bitmaps that nobody reads. */
export function rehearseReceiving(): void {
  const limits = { pageBytes: PAGE_BYTES, blockPages: [PAGES] };
  const page = new ScratchBuffer(PAGE_BYTES);
  const reader = new FrameReader(framesOfNothing(), 2 * PAGE_BYTES, FRAME_HEADER_BYTES);
  const received = new ReceivedPages([PAGES]);
  const requested = new PageBitmap(PAGES);
  const ledger = new FaultLedger();
  const counters = new Counters(receiverCounters);
  const gate = new PlacingGate();
  gate.openLink(Placing.INTO_MEMORY);
  for (let round = 0; round < ROUNDS; round++) {
    reader.next(limits);
    gate.enter(0);
    reader.readInto(page.address);
    received.addRun(0, 0, PAGES);
    received.removeRun(0, 0, PAGES);
    settleRun(ledger, requested, 0, 0, PAGES);
    counters.add('normalPages', 1);
    gate.leave(0);
  }
  page.keep();
}

/** Frames of one page each, whose content does not matter. */
function framesOfNothing(): ByteSource {
  const header = new ScratchBuffer(FRAME_HEADER_BYTES);
  const view = new DataView(header.bytes.buffer);
  encodeFrameHeader(view, 0, FrameType.PAGES, 0, 0, 1, PAGE_BYTES);
  return (address, byteLength) => {
    if (byteLength === FRAME_HEADER_BYTES) copyMemory(address, header.address, byteLength);
    return byteLength;
  };
}
