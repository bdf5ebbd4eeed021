import { randomFillSync } from 'node:crypto';
import { ScratchBuffer, viewMemory } from '@godwit/posix';
import { inflatePages } from '@godwit/transport';
import { expect, test } from 'vitest';
import {
  COMPRESSED_RUN_BYTES,
  type CompressedRun,
  RunCompressor,
} from '../src/threads/run-compressor.ts';

const RUN_BYTES = 64 * 1024;

/** Where runs are taken from; one that can be compressed, one that cannot. */
function memory() {
  const easy = new ScratchBuffer(RUN_BYTES);
  for (let at = 0; at < RUN_BYTES; at += 512) easy.bytes.fill(at / 512, at, at + 512);
  const hard = new ScratchBuffer(RUN_BYTES);
  randomFillSync(hard.bytes);
  return { easy, hard };
}

function inflated(run: CompressedRun | undefined, byteLength = RUN_BYTES): Uint8Array {
  expect(run).toBeDefined();
  const { address, byteLength: bodyBytes } = run as CompressedRun;
  const pages = new Uint8Array(byteLength);
  inflatePages(new Uint8Array(viewMemory(address, bodyBytes)), pages);
  return pages;
}

/** Much faster than `toEqual`. */
function expectBytes(bytes: Uint8Array, expected: Uint8Array): void {
  expect(Buffer.from(bytes).equals(expected)).toBe(true);
}

test('runs stay as they were compressed until they are written, whatever becomes of their pages', () => {
  const { easy } = memory();
  const compressor = new RunCompressor(1);
  const before = Uint8Array.from(easy.bytes);
  const first = compressor.compress(easy.address, RUN_BYTES);
  easy.bytes.fill(7);
  const second = compressor.compress(easy.address, RUN_BYTES);
  expectBytes(inflated(first), before);
  expectBytes(inflated(second), easy.bytes);
});

test('a run that does not shrink is left as it is, and after each more are not tried', () => {
  const { easy, hard } = memory();
  const compressor = new RunCompressor(1);
  const compress = ({ address }: ScratchBuffer) => compressor.compress(address, RUN_BYTES);
  for (const skipped of [1, 3, 7, 15, 15]) {
    expect(compress(hard)).toBeUndefined();
    for (let i = 0; i < skipped; i++) expect(compress(easy)).toBeUndefined();
  }
  // One that shrinks: from here on each is tried again.
  for (let i = 0; i < 3; i++) expect(compress(easy)).toBeDefined();
  expect(compress(hard)).toBeUndefined();
  expect(compress(easy)).toBeUndefined();
  expect(compress(easy)).toBeDefined();
});

test('what comes out is never longer than seven eighths of what goes in', () => {
  const run = new ScratchBuffer(RUN_BYTES);
  let compressed = 0;
  for (let share = 0; share <= 1; share += 1 / 32) {
    run.bytes.fill(0);
    randomFillSync(run.bytes, 0, Math.floor(RUN_BYTES * share));
    const result = new RunCompressor(9).compress(run.address, RUN_BYTES);
    if (result === undefined) continue;
    compressed += 1;
    expect(result.byteLength).toBeLessThanOrEqual((RUN_BYTES * 7) / 8);
    expectBytes(inflated(result), run.bytes);
  }
  expect(compressed).toBeGreaterThan(20);
  expect(compressed).toBeLessThan(32);
});

test('there is room for a whole run until it is full, and again once that is written', () => {
  const run = new ScratchBuffer(COMPRESSED_RUN_BYTES);
  randomFillSync(run.bytes, 0, Math.floor(COMPRESSED_RUN_BYTES * 0.8));
  const compressor = new RunCompressor(1);
  for (let round = 0; round < 3; round++) {
    const runs: CompressedRun[] = [];
    while (!compressor.isFull) {
      runs.push(compressor.compress(run.address, COMPRESSED_RUN_BYTES) as CompressedRun);
    }
    expect(runs.length).toBeGreaterThanOrEqual(3);
    for (const it of runs) expectBytes(inflated(it, COMPRESSED_RUN_BYTES), run.bytes);
    compressor.clear();
  }
});

test('of runs that shrink to nothing sixteen wait at most', () => {
  const { easy } = memory();
  const compressor = new RunCompressor(1);
  let runs = 0;
  for (; !compressor.isFull; runs++) compressor.compress(easy.address, RUN_BYTES);
  expect(runs).toBe(16);
});

test('at level 0 nothing shrinks', () => {
  const { easy } = memory();
  expect(new RunCompressor(0).compress(easy.address, RUN_BYTES)).toBeUndefined();
});
