import { randomFillSync } from 'node:crypto';
import { pageBytes } from '@godwit/posix';
import { FrameType, inflatePages } from '@godwit/transport';
import { expect, test } from 'vitest';
import { RunCompressor } from '../src/threads/run-compressor.ts';
import { bytesOf, pageOf } from './real-ram.ts';
import { batchWith, touch } from './page-batch-fixture.ts';

test('a checked frame carries what its checksum says, whatever the guest writes meanwhile', () => {
  const it = batchWith({ looksForZeros: () => true, checks: true }, 40);
  touch(it, 0, 3, 4, 7);
  touch(it, 0, 9, 2, 0);
  const before = bytesOf(it.blocks[0]).slice(3 * pageBytes, 7 * pageBytes);
  expect([it.batch.claim(0, 3, 100), it.batch.claim(0, 9, 100)]).toEqual([4, 2]);
  pageOf(it.blocks[0], 4).fill(8); // after the claim and before the write
  const [pages, zeros] = it.transmit(); // reads with checks
  expect(pages?.body).toEqual(before);
  expect(zeros).toMatchObject({ type: FrameType.ZERO, firstPage: 9, pageCount: 2 });
});

test('checked batches are full before their copies have no room', () => {
  const it = batchWith({ looksForZeros: () => true, checks: true }, 600);
  touch(it, 0, 0, 600, 7);
  expect(it.batch.claim(0, 0, 600)).toBe(256);
  expect(it.batch.isFull).toBe(false);
  expect(it.batch.claim(0, 256, 600)).toBe(256);
  expect(it.batch.isFull).toBe(true);
  it.batch.clear();
  expect(it.batch.isFull).toBe(false);
});

test('where nobody looks, pages of zeros that exist leave as they are, and holes are told as ever', () => {
  let looks = false;
  const it = batchWith({ looksForZeros: () => looks }, 20);
  touch(it, 0, 0, 10, 0);
  it.dirty[0]?.addRun(10, 10);
  expect(it.batch.claim(0, 0, 4)).toBe(4);
  it.batch.addClaimed(0, 9);
  looks = true; // from the next claim on
  expect(it.batch.claim(0, 4, 4)).toBe(4);
  it.batch.addClaimed(0, 8);
  expect(it.batch.claim(0, 10, 4)).toBe(10);
  const told = it.transmit().map(({ type, firstPage, pageCount }) => [type, firstPage, pageCount]);
  const { PAGES, ZERO } = FrameType;
  expect(told).toEqual([
    [PAGES, 0, 4],
    [PAGES, 9, 1],
    [ZERO, 4, 4],
    [ZERO, 8, 1],
    [ZERO, 10, 10],
  ]);
});

test('pages that can be compressed leave so, others and those asked for as they are', () => {
  const it = batchWith({ looksForZeros: () => true, compressor: new RunCompressor(1) }, 200);
  touch(it, 0, 0, 100, 7);
  touch(it, 0, 100, 4, 1);
  randomFillSync(bytesOf(it.blocks[0]), 100 * pageBytes, 4 * pageBytes);
  touch(it, 0, 104, 3, 0);
  expect(it.batch.claim(0, 0, 1000)).toBe(64); // 256 KiB
  expect(it.batch.claim(0, 64, 36)).toBe(36);
  expect(it.batch.claim(0, 100, 4)).toBe(4);
  it.dirty[0]?.take(104);
  it.batch.addClaimed(0, 104);
  it.batch.addClaimed(0, 5);
  expect(it.batch.claim(0, 105, 100)).toBe(2);
  expect([it.batch.normalPages, it.batch.zeroPages]).toEqual([105, 3]);
  const frames = it.transmit();
  const told = frames.map(({ type, firstPage, pageCount }) => [type, firstPage, pageCount]);
  const { PAGES, ZERO, ZLIB_PAGES } = FrameType;
  expect(told).toEqual([
    [ZLIB_PAGES, 0, 64],
    [ZLIB_PAGES, 64, 36],
    [PAGES, 100, 4],
    [ZERO, 104, 1],
    [PAGES, 5, 1],
    [ZERO, 105, 2],
  ]);
  for (const { body, firstPage, pageCount } of frames.slice(0, 2)) {
    const pages = new Uint8Array(pageCount * pageBytes);
    inflatePages(body, pages);
    const end = (firstPage + pageCount) * pageBytes;
    expect(Buffer.from(pages).equals(bytesOf(it.blocks[0]).slice(firstPage * pageBytes, end))).toBe(
      true,
    );
  }
});

test('a batch is full when there is no room for what the next run is compressed to', () => {
  const it = batchWith({ looksForZeros: () => true, compressor: new RunCompressor(1) }, 640);
  touch(it, 0, 0, 640, 1);
  // Every other page shrinks to nothing: no frame is longer than half of its pages.
  for (let page = 0; page < 640; page += 2) randomFillSync(pageOf(it.blocks[0], page));
  let page = 0;
  while (!it.batch.isFull) page += it.batch.claim(0, page, 1000);
  expect(page).toBeGreaterThan(3 * 64);
  expect(page).toBeLessThan(640);
  it.batch.clear();
  expect(it.batch.isFull).toBe(false);
});
