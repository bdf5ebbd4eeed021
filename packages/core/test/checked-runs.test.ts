import { FrameType } from '@godwit/transport';
import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { BlockBytes } from '../src/memory/block-bytes.ts';
import { PageSums } from '../src/memory/page-sums.ts';
import { ReceivedPages } from '../src/memory/received-pages.ts';
import { ramDigests } from '../src/memory/ram-digest.ts';
import { CheckedRuns, DAMAGED_FRAMES_MAX } from '../src/threads/checked-runs.ts';
import { Counters, receiverCounters } from '../src/threads/counters.ts';
import { Placing } from '../src/threads/placing-gate.ts';
import { bitmapsOf, bitmapWith, bytesOf, pageOf, pagesIn, realRam } from './real-ram.ts';

const PAGES = 600;
const PAGE_BYTES = 4096;

/** Pages of which all are received, and what is told of damage. */
function runsOver() {
  const blocks = realRam([PAGES]);
  bytesOf(blocks[0]).fill(7);
  const received = new ReceivedPages([PAGES]);
  received.addRun(0, 0, PAGES);
  const damaged = bitmapsOf(blocks);
  const counters = new Counters(receiverCounters);
  const told: number[][] = [];
  const runs = new CheckedRuns(
    { blocks, received, damaged, counters },
    ({ firstPage, pageCount }) => told.push([firstPage, pageCount]),
  );
  const header = (firstPage: number, pageCount: number, checksum: number) => {
    const bodyBytes = pageCount * PAGE_BYTES;
    return { type: FrameType.PAGES, block: 0, firstPage, pageCount, bodyBytes, checksum };
  };
  return { blocks, received, damaged, counters, told, runs, header };
}

test('pages that are what was sent are left as they are', () => {
  const it = runsOver();
  const checksum = crc32(bytesOf(it.blocks[0]).subarray(0, 3 * PAGE_BYTES));
  expect(it.runs.isIntactInMemory(it.header(5, 3, checksum))).toBe(true);
  expect(it.received.count).toBe(PAGES);
  expect(it.told).toEqual([]);
});

test('damaged pages in memory are not received any more, and their content is gone', () => {
  const it = runsOver();
  expect(it.runs.isIntactInMemory(it.header(5, 3, 1))).toBe(false);
  expect(pagesIn(it.damaged[0])).toEqual([5, 6, 7]);
  expect(it.received.count).toBe(PAGES - 3);
  expect(pageOf(it.blocks[0], 6).every((byte) => byte === 0)).toBe(true);
  expect(pageOf(it.blocks[0], 8).every((byte) => byte === 7)).toBe(true);
  expect(it.told).toEqual([[5, 3]]);
  expect(it.counters.get('damagedFrames')).toBe(1);
  expect(it.counters.get('damagedPages')).toBe(3);
});

test('under a guest that runs a damaged body takes nothing away', () => {
  const it = runsOver();
  const body = new Uint8Array(PAGE_BYTES);
  expect(it.runs.isIntact(it.header(5, 1, crc32(body)), body, Placing.BY_FAULT)).toBe(true);
  body[100] = 1;
  expect(it.runs.isIntact(it.header(5, 1, 2), body, Placing.BY_FAULT)).toBe(false);
  expect(it.received.count).toBe(PAGES);
  expect(pageOf(it.blocks[0], 5).every((byte) => byte === 7)).toBe(true);
  expect(pagesIn(it.damaged[0])).toEqual([5]);
});

test('a link that damages frame after frame is ended, and the next one begins anew', () => {
  const it = runsOver();
  const damage = (): boolean => it.runs.isIntactInMemory(it.header(5, 1, 1));
  for (let link = 0; link < 2; link += 1) {
    for (let i = 0; i < DAMAGED_FRAMES_MAX; i += 1) expect(damage()).toBe(false);
    expect(damage).toThrow(expect.objectContaining({ code: 'ERR_CHECKSUM' }));
    it.runs.reset();
  }
});

test('the checksum of pages is that of their bytes', () => {
  const [block] = realRam([20]);
  bytesOf(block).forEach((_byte, at, bytes) => (bytes[at] = at % 251));
  const bytes = new BlockBytes(block!);
  expect(bytes.checksum(3, 9)).toBe(
    crc32(bytesOf(block).subarray(3 * PAGE_BYTES, 12 * PAGE_BYTES)),
  );
});

test('the digest of RAM tells one bit in any page, and absent pages are zeros', () => {
  const blocks = realRam([PAGES, 2]);
  pageOf(blocks[0], 599).fill(1);
  const before = ramDigests(blocks);
  expect(ramDigests(blocks, [bitmapWith(PAGES, [599]), bitmapWith(2, [])])).toEqual(before);
  for (const page of [0, 255, 256, 599]) {
    pageOf(blocks[0], page)[4095]! ^= 0x80;
    const [changed, same] = ramDigests(blocks);
    expect(changed).not.toEqual(before[0]);
    expect(same).toEqual(before[1]);
    pageOf(blocks[0], page)[4095]! ^= 0x80;
  }
  expect(ramDigests(blocks)).toEqual(before);
});

test('the sums of pages are the same however a side came to know them, and tell one bit', () => {
  const blocks = realRam([4]);
  pageOf(blocks[0], 1).fill(1);
  pageOf(blocks[0], 2).fill(2);
  const source = new PageSums(blocks);
  source.noteMemory(0, 0, 4);
  const destination = new PageSums(blocks);
  const worker = new PageSums(blocks, destination.buffers);
  worker.note(0, 1, bytesOf(blocks[0]).slice(PAGE_BYTES, 3 * PAGE_BYTES));
  worker.noteZeros(0, 0, 1);
  worker.noteZeros(0, 3, 1);
  expect(destination.digests()).toEqual(source.digests());
  pageOf(blocks[0], 2)[7]! ^= 1;
  worker.noteMemory(0, 2, 1);
  expect(destination.digests()).not.toEqual(source.digests());
});
