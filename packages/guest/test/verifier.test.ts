import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PAGE_BYTES, PAGE_WORDS, segmentOf, type MemoryPages } from '../src/pages/memory-pages.ts';
import { COUNTER_WORD, fillPages } from '../src/pages/page-content.ts';
import { ownPageCount, workloads } from '../src/program.ts';
import { BAD_PAGES_NAMED_MAX, type GuestExpectation, verifyMemory } from '../src/verifier.ts';
import { PageSequence } from '../src/workload/page-sequence.ts';
import { memoryOnHeap } from './memory-on-heap.ts';

const BLOCK_PAGES = [5, 2, 4];
const PAGE_COUNT = 11;

const anyExpectation = fc.record({
  workload: fc.constantFrom(...workloads),
  seed: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  fill: fc.constantFrom(0, 0.4, 1),
  vcpus: fc.array(fc.record({ steps: fc.nat(3000) }), { minLength: 1, maxLength: 4 }),
});
const busy: GuestExpectation = {
  workload: 'random',
  seed: 11,
  fill: 1,
  vcpus: [{ steps: 100 }, { steps: 37 }],
};

test('RAM that ran step by step is found to be what it must be', () => {
  fc.assert(
    fc.property(anyExpectation, (expectation) => {
      const result = verifyMemory(runGuest(expectation), expectation);
      expect(result).toEqual({
        ok: true,
        pagesChecked: PAGE_COUNT,
        pagesBad: 0,
        badPages: [],
        steps: expectation.vcpus.map(({ steps }) => steps),
      });
    }),
  );
});

test('one flipped bit, anywhere, is found and its byte named', () => {
  const anyByte = fc.nat(PAGE_COUNT * PAGE_BYTES - 1);
  fc.assert(
    fc.property(anyExpectation, anyByte, fc.nat(7), (expectation, index, bit) => {
      const memory = runGuest(expectation);
      const page = Math.floor(index / PAGE_BYTES);
      const bytes = pageBytesOf(memory, page);
      const offset = index % PAGE_BYTES;
      bytes[offset] = (bytes[offset] ?? 0) ^ (1 << bit);
      const { badPages, pagesBad, ok } = verifyMemory(memory, expectation);
      expect({ ok, pagesBad }).toEqual({ ok: false, pagesBad: 1 });
      expect(badPages[0]).toMatchObject({ ...nameOf(page), offset });
    }),
    { numRuns: 300 },
  );
});

test('a lost page is found in every place', () => {
  for (let page = 0; page < PAGE_COUNT; page += 1) {
    const memory = runGuest(busy);
    pageBytesOf(memory, page).fill(0);
    expect(verifyMemory(memory, busy).badPages).toEqual([
      { ...nameOf(page), offset: 0, reason: 'lost: it reads as zeros' },
    ]);
  }
});

test.for(['sweep', 'random', 'zipf'] as const)('a page one %s step behind is stale', (workload) => {
  const vcpus = [{ steps: 500 }];
  const expectation = { ...busy, workload, vcpus };
  const memory = runGuest({ ...expectation, vcpus: [{ steps: 499 }] });
  const sequence = new PageSequence({ workload, seed: 11, vcpu: 0, size: PAGE_COUNT }, 499);
  expect(verifyMemory(memory, expectation).badPages).toEqual([
    {
      ...nameOf(sequence.next()),
      offset: workload === 'sweep' ? 0 : 8,
      reason: 'stale: it lacks its last 1 visits',
    },
  ]);
});

test('a page visited more often than the step count says is ahead', () => {
  const memory = runGuest({ ...busy, vcpus: [{ steps: 101 }, { steps: 37 }] });
  const { badPages } = verifyMemory(memory, busy);
  expect(badPages.map(({ reason }) => reason)).toEqual(['ahead: it was visited 1 times too often']);
});

test('two pages that changed places are named, each with the page it holds', () => {
  const memory = runGuest(busy);
  const [first, second] = [pageBytesOf(memory, 3), pageBytesOf(memory, 6)];
  const kept = first.slice();
  first.set(second);
  second.set(kept);
  const { badPages } = verifyMemory(memory, busy);
  expect(badPages.map(({ block, page, reason }) => [block, page, reason])).toEqual([
    ['block0', 3, 'misplaced: it holds page 1 of block1'],
    ['block1', 1, 'misplaced: it holds page 3 of block0'],
  ]);
});

test('a page written where none was ever filled or visited is found', () => {
  const untouched = { ...busy, workload: 'idle', fill: 0 } as const;
  const memory = runGuest(untouched);
  pageBytesOf(memory, 4)[PAGE_BYTES - 1] = 1;
  expect(verifyMemory(memory, untouched).badPages).toEqual([
    { block: 'block0', page: 4, offset: 4095, reason: 'damaged: it holds what was never written' },
  ]);
});

test('a counter carries into its upper half', () => {
  const steps = 2 ** 32 * PAGE_COUNT + 5;
  const expectation = { ...busy, fill: 0, vcpus: [{ steps }] };
  const memory = memoryOnHeap(...BLOCK_PAGES);
  const order = new PageSequence(
    { workload: 'random', seed: 11, vcpu: 0, size: PAGE_COUNT },
    steps - 5,
  );
  for (let page = 0; page < PAGE_COUNT; page += 1) counterOf(memory, page).setUint32(4, 1, true);
  for (let visit = 0; visit < 5; visit += 1) counterOf(memory, order.next()).setUint32(0, 1, true);
  expect(verifyMemory(memory, expectation).badPages).toEqual([]);
});

test('all bad pages are counted, the first are named', () => {
  const memory = memoryOnHeap(40);
  const { pagesBad, badPages } = verifyMemory(memory, { ...busy, workload: 'idle' });
  expect(pagesBad).toBe(40);
  expect(badPages.map(({ page }) => page)).toEqual([...Array(BAD_PAGES_NAMED_MAX).keys()]);
});

/** RAM after those steps, made one by one and with the plainest arithmetic. */
function runGuest({ workload, seed, fill, vcpus }: GuestExpectation): MemoryPages {
  const memory = memoryOnHeap(...BLOCK_PAGES);
  fillPages(memory, { seed, fill }, 0, memory.pageCount);
  for (const [vcpu, { steps }] of vcpus.entries()) {
    if (workload === 'idle') continue;
    const size = ownPageCount(memory.pageCount, vcpu, vcpus.length);
    const sequence = new PageSequence({ workload, seed, vcpu, size }, 0);
    for (let step = 0; step < steps; step += 1) {
      const page = vcpu + sequence.next() * vcpus.length;
      const bytes = pageBytesOf(memory, page);
      const counter = counterOf(memory, page);
      if (workload === 'sweep') bytes[0] = ((bytes[0] ?? 0) + 1) % 256;
      else counter.setBigUint64(0, counter.getBigUint64(0, true) + 1n, true);
    }
  }
  return memory;
}

function nameOf(page: number): { block: string; page: number } {
  if (page < 5) return { block: 'block0', page };
  return page < 7 ? { block: 'block1', page: page - 5 } : { block: 'block2', page: page - 7 };
}

function pageBytesOf(memory: MemoryPages, page: number): Uint8Array {
  const { words, firstPage } = segmentOf(memory, page);
  const start = (page - firstPage) * PAGE_WORDS;
  return new Uint8Array(words.buffer, start * 4, PAGE_BYTES);
}

function counterOf(memory: MemoryPages, page: number): DataView {
  const { buffer, byteOffset } = pageBytesOf(memory, page);
  return new DataView(buffer, byteOffset + COUNTER_WORD * 4, 8);
}
