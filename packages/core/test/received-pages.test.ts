import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  complementOf,
  isSameReceived,
  proofOf,
  ReceivedPages,
} from '../src/memory/received-pages.ts';
import { inWorker } from './in-worker.ts';
import { bitmapWith, pagesIn } from './real-ram.ts';

test('whoever adds the last page is told, and nobody else, however pages arrive', () => {
  const somePages = fc.array(fc.tuple(fc.nat(1), fc.nat(39), fc.integer({ min: 1, max: 12 })), {
    maxLength: 30,
  });
  fc.assert(
    fc.property(somePages, (runs) => {
      const received = new ReceivedPages([40, 33]);
      const missing = new Set(Array.from({ length: 73 }, (_, i) => i));
      const rest = [...missing].map((i): [number, number, number] =>
        i < 40 ? [0, i, 1] : [1, i - 40, 1],
      );
      for (const [block, at, length] of [...runs, ...rest, ...runs]) {
        const pages = block === 0 ? 40 : 33;
        const first = Math.min(at, pages - 1);
        const count = Math.min(length, pages - first);
        const before = missing.size;
        for (let i = 0; i < count; i += 1) missing.delete(block * 40 + first + i);
        const isLast = before > 0 && missing.size === 0;
        expect(received.addRun(block, first, count)).toBe(isLast);
        expect(received.count).toBe(73 - missing.size);
        expect(received.isComplete).toBe(missing.size === 0);
      }
    }),
  );
});

test('of two threads that receive the same pages, exactly one is told that all are there', async () => {
  const blockPages = [1000, 37];
  const rounds = Array.from({ length: 40 }, () => new ReceivedPages(blockPages));
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const body = `
    const { blockPages, rounds, gate, length } = data;
    return rounds.map((buffers, round) => {
      const received = new lib.ReceivedPages(blockPages, buffers);
      let told = 0;
      Atomics.add(gate, 0, 1);
      while (Atomics.load(gate, 0) < 2 * (round + 1)); // both begin at once
      for (const [block, pages] of blockPages.entries()) {
        for (let first = 0; first < pages; first += length) {
          told += Number(received.addRun(block, first, Math.min(length, pages - first)));
        }
      }
      return told;
    });`;
  const run = async (length: number): Promise<readonly number[]> => {
    const data = { blockPages, rounds: rounds.map(({ buffers }) => buffers), gate, length };
    const { answer } = inWorker({ modules: ['memory/received-pages'], data, body });
    return (await answer) as readonly number[];
  };
  const [one, other] = await Promise.all([run(7), run(64)]);
  expect(one.map((told, round) => told + (other[round] ?? 0))).toEqual(rounds.map(() => 1));
  expect(rounds.every((received) => received.isComplete)).toBe(true);
});

test('a page taken back can make the set complete once more', () => {
  const received = new ReceivedPages([3]);
  expect(received.addRun(0, 0, 3)).toBe(true);
  received.removeRun(0, 1, 2);
  received.removeRun(0, 1, 2);
  expect([received.count, received.isComplete]).toEqual([1, false]);
  expect(received.addRun(0, 1, 1)).toBe(false);
  expect(received.addRun(0, 2, 1)).toBe(true);
});

test('nothing is told twice to whoever adds nothing', () => {
  const received = new ReceivedPages([3]);
  received.addRun(0, 0, 3);
  expect(received.addRun(0, 0, 3)).toBe(false);
});

test('the proof is the count and the SHA-256 of the bitmaps, one after the other', () => {
  const received = new ReceivedPages([10, 40]);
  received.addRun(0, 0, 1);
  received.addRun(0, 9, 1);
  received.addRun(1, 0, 1);
  received.addRun(1, 39, 1);
  const { pages, digest } = received.proof();
  expect(pages).toBe(4);
  // sha256 of 01 02 01 00 00 00 80
  expect(Buffer.from(digest).toString('hex')).toBe(
    '06ca2267db4e4e942de5e3fc7ce710feed11457a9a57e4b52f21bd395e18d572',
  );
});

test('proofs are the same only for the same pages of the same blocks', () => {
  const proof = proofOf([bitmapWith(10, [0, 9])]);
  expect(isSameReceived(proof, proofOf([bitmapWith(10, [0, 9])]))).toBe(true);
  expect(isSameReceived(proof, proofOf([bitmapWith(10, [0, 8])]))).toBe(false);
  expect(isSameReceived(proof, { ...proof, pages: 3 })).toBe(false);
  expect(isSameReceived(proof, { ...proof, digest: proof.digest.subarray(1) })).toBe(false);
});

test('what is received when some are missing is every other page, and the missing stay', () => {
  const sizes = fc.constantFrom(1, 31, 32, 33, 64, 100);
  fc.assert(
    fc.property(fc.array(fc.tuple(sizes, fc.array(fc.nat(99)))), (blocks) => {
      const missing = blocks.map(([size, pages]) =>
        bitmapWith(
          size,
          pages.map((page) => page % size),
        ),
      );
      const before = missing.map((bitmap) => pagesIn(bitmap));
      for (const [i, received] of complementOf(missing).entries()) {
        const size = blocks[i]?.[0] ?? 0;
        const both = [...pagesIn(received), ...pagesIn(missing[i])].toSorted((a, b) => a - b);
        expect(both).toEqual(Array.from({ length: size }, (_, page) => page));
      }
      expect(missing.map((bitmap) => pagesIn(bitmap))).toEqual(before);
    }),
  );
});

test('pages that are restored twice are counted once', () => {
  const received = new ReceivedPages([40]);
  received.addRun(0, 0, 1);
  for (const bits of [0b0110, 0b0110]) {
    received.restore(0, Uint8Array.of(bits, 0, 0, 0, 0));
    expect(received.count).toBe(2);
  }
});
