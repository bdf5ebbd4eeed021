import { closeDescriptor, NativeBuffer, pageBytes, socketPair } from '@godwit/posix';
import {
  channelSource,
  encodeFrameHeader,
  FRAME_HEADER_BYTES,
  FrameReader,
  FrameType,
  writeBytes,
} from '@godwit/transport';
import { expect, onTestFinished, test } from 'vitest';
import { FaultLedger } from '../src/memory/fault-ledger.ts';
import { openFaultSource, watchMissing } from '../src/memory/fault-source.ts';
import { makeMissing } from '../src/memory/guest-ram.ts';
import { PageBitmap } from '../src/memory/page-bitmap.ts';
import { tableBitmap } from '../src/memory/portable-ram.ts';
import type { PortableTables } from '../src/memory/portable-tables.ts';
import type { RamBlock } from '../src/memory/ram-block.ts';
import { newReceivedPages } from '../src/memory/received-pages.ts';
import { Counters, receiverCounters } from '../src/threads/counters.ts';
import { PlacingGate } from '../src/threads/placing-gate.ts';
import { PortablePlacer } from '../src/threads/portable-placer.ts';
import { inWorker } from './in-worker.ts';
import { pageOf, pagesIn, realPortableRam } from './real-ram.ts';

const PAGES = 256;

/** A guest in postcopy without a page, and a link to it; of two placers, as urgent and main are. */
function postcopyRam(pages = PAGES) {
  const limits = { pageBytes, blockPages: [pages] };
  const [block] = realPortableRam([pages]) as [RamBlock];
  const received = newReceivedPages([block]);
  makeMissing(block, received.bitmaps[0]!);
  watchMissing(openFaultSource([block]), [block]);
  const requested = new PageBitmap(pages);
  const counters = new Counters(receiverCounters);
  const ledger = new FaultLedger();
  const gate = new PlacingGate();
  const tables = { blocks: [block], received, requested: [requested], ledger, counters, gate };
  let completions = 0;
  const placer = new PortablePlacer(tables, () => (completions += 1));
  const [near, far] = socketPair();
  onTestFinished(() => [near, far].forEach((fd) => closeDescriptor(fd)));
  const reader = new FrameReader(channelSource(near), 1024 * 1024);
  const frame = new NativeBuffer(FRAME_HEADER_BYTES + 32 * pageBytes); // what a socket holds unread
  onTestFinished(() => frame[Symbol.dispose]());
  /** Pages of this content arrive. */
  const place = (first: number, count: number, content: number): void => {
    const body = count * pageBytes;
    const view = new DataView(frame.bytes.buffer);
    encodeFrameHeader(view, 0, FrameType.PAGES, 0, first, count, body);
    frame.bytes.fill(content, FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + body);
    writeBytes(far, frame.address, FRAME_HEADER_BYTES + body);
    reader.next(limits);
    placer.placeRun(reader);
  };
  const placeZeros = (firstPage: number, pageCount: number): void => {
    placer.placeZeroRun({
      type: FrameType.ZERO,

      block: 0,
      firstPage,
      pageCount,
      bodyBytes: 0,
    });
  };
  return {
    block,
    received,
    requested,
    counters,
    place,
    placeZeros,
    completions: () => completions,
  };
}

function tablesOf(block: RamBlock): PortableTables {
  return block.portable as PortableTables;
}

test('pages arrive whole, are received, exist, and the last completes once', () => {
  const ram = postcopyRam();
  ram.place(0, 20, 7);
  ram.placeZeros(20, PAGES - 21);
  expect(ram.completions()).toBe(0);
  ram.place(PAGES - 1, 1, 9);
  expect(ram.completions()).toBe(1);
  expect(pageOf(ram.block, 19).every((byte) => byte === 7)).toBe(true);
  expect(pageOf(ram.block, 20).every((byte) => byte === 0)).toBe(true);
  expect(ram.received.isComplete).toBe(true);
  const written = tableBitmap(ram.block, tablesOf(ram.block).written);
  expect(pagesIn(written)).toEqual([...Array(20).keys(), PAGES - 1]);
  expect(tableBitmap(ram.block, tablesOf(ram.block).missing).count()).toBe(0);
});

test('a page that comes again does not undo what the guest has stored since', () => {
  const ram = postcopyRam();
  ram.place(3, 1, 7);
  pageOf(ram.block, 3)[0] = 200;
  ram.place(2, 3, 8);
  ram.placeZeros(0, 6);
  expect([2, 3, 4].map((page) => pageOf(ram.block, page)[0])).toEqual([8, 200, 8]);
  expect(pageOf(ram.block, 3)[1]).toBe(7);
  expect(ram.counters.get('duplicatePages')).toBe(1);
  expect(ram.received.count).toBe(6);
});

test('a page that another thread has begun with is neither written nor said to be received', () => {
  const ram = postcopyRam();
  const missing = tableBitmap(ram.block, tablesOf(ram.block).missing);
  missing.take(5); // the other thread stands between this and its copy
  ram.place(4, 3, 8);
  ram.placeZeros(5, 1);
  expect(pagesIn(ram.received.bitmaps[0])).toEqual([4, 6]);
  expect(pageOf(ram.block, 5)[0]).toBe(0);
  expect(ram.counters.get('duplicatePages')).toBe(1);
});

test('who sees a page received sees all of its content', async () => {
  const ROUNDS = 250; // its content is the round's number, in every byte
  const ram = postcopyRam(ROUNDS * 32);
  // Spins on the last page of each run, and looks at its last word at once.
  const { told, answer } = inWorker({
    modules: ['memory/page-bitmap'],
    data: { block: ram.block, rounds: ROUNDS },
    body: `
      const { block, rounds } = data;
      const received = new lib.PageBitmap(block.byteLength / block.pageBytes, block.portable.received);
      const words = new Uint32Array(lib.viewMemory(block.address, block.byteLength));
      const torn = [];
      const limit = Date.now() + 20_000;
      tell('spins');
      for (let round = 0; round < rounds; round++) {
        const page = round * 32 + 31;
        while (!received.has(page) && Date.now() < limit);
        if (words[(page + 1) * (block.pageBytes / 4) - 1] !== 0x01010101 * (round + 1)) torn.push(page);
      }
      return torn;`,
  });
  await told;
  for (let round = 0; round < ROUNDS; round += 1) ram.place(round * 32, 32, round + 1);
  expect(await answer).toEqual([]);
});
