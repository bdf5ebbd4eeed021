import { assertNever } from '@godwit/transport';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PageBitmap } from '../src/memory/page-bitmap.ts';
import { inWorker } from './in-worker.ts';
import { bitmapWith, pagesIn } from './real-ram.ts';

/** Around the limits of a word of 32 bits. */
const sizes = fc.constantFrom(1, 2, 31, 32, 33, 63, 64, 65, 95, 96, 97, 200);
const operations = [
  'add',
  'take',
  'addRun',
  'takeRun',
  'takeAhead',
  'next',
  'nextClear',
  'fill',
  'clear',
] as const;
const someSteps = fc.array(
  fc.record({
    operation: fc.constantFrom(...operations),
    at: fc.nat(199),
    count: fc.nat(100),
  }),
  { maxLength: 30 },
);

const ourMistake = { code: 'ERR_ASSERTION' };

/** What a bitmap is meant to be, the slow way. */
class Model {
  readonly pages: number;
  readonly set = new Set<number>();

  constructor(pages: number) {
    this.pages = pages;
  }

  addRun(first: number, count: number): number {
    const before = this.set.size;
    for (let page = first; page < first + count; page += 1) this.set.add(page);
    return this.set.size - before;
  }

  takeRun(first: number, count: number): number {
    const before = this.set.size;
    for (let page = first; page < first + count; page += 1) this.set.delete(page);
    return before - this.set.size;
  }

  takeAhead(page: number, max: number): number {
    let taken = 0;
    while (taken < max && this.set.delete(page + taken)) taken += 1;
    return taken;
  }

  find(from: number, end: number, wanted: boolean): number {
    for (let page = from; page < end; page += 1) if (this.set.has(page) === wanted) return page;
    return -1;
  }

  runs(): [number, number][] {
    const runs: [number, number][] = [];
    for (let page = 0; page < this.pages; page += 1) {
      if (!this.set.has(page)) continue;
      if (this.set.has(page - 1)) runs.at(-1)![1] += 1;
      else runs.push([page, 1]);
    }
    return runs;
  }

  bytes(first: number, count: number): number[] {
    const bytes = new Array<number>(Math.ceil(count / 8)).fill(0);
    for (let i = 0; i < count; i += 1) {
      if (this.set.has(first + i)) bytes[i >> 3]! |= 1 << (i & 7);
    }
    return bytes;
  }
}

/** The same step on both; a run is cut at the end of the bitmap. @returns what each answered. */
function step(
  bitmap: PageBitmap,
  model: Model,
  { operation, at, count }: { operation: (typeof operations)[number]; at: number; count: number },
): [unknown, unknown] {
  const page = at % bitmap.pages;
  const end = Math.min(page + count, bitmap.pages);
  switch (operation) {
    case 'add':
      return [bitmap.add(page), model.addRun(page, 1) === 1];
    case 'take':
      return [bitmap.take(page), model.takeRun(page, 1) === 1];
    case 'addRun':
      return [bitmap.addRun(page, end - page), model.addRun(page, end - page)];
    case 'takeRun':
      return [bitmap.takeRun(page, end - page), model.takeRun(page, end - page)];
    case 'takeAhead': // may be told to go on past the end
      return [bitmap.takeAhead(page, count), model.takeAhead(page, count)];
    case 'next':
      return [bitmap.next(page, end), model.find(page, end, true)];
    case 'nextClear':
      return [bitmap.nextClear(page, end), model.find(page, end, false)];
    case 'fill':
      return [bitmap.fill(), void model.addRun(0, model.pages)];
    case 'clear':
      return [bitmap.clear(), model.set.clear()];
    default:
      return assertNever(operation);
  }
}

test('after any steps a bitmap holds, finds and tells what a set of page numbers would', () => {
  fc.assert(
    fc.property(sizes, someSteps, (pages, steps) => {
      const bitmap = new PageBitmap(pages);
      const model = new Model(pages);
      for (const it of steps) {
        const [answer, expected] = step(bitmap, model, it);
        expect(answer).toBe(expected);
      }
      const runs: [number, number][] = [];
      bitmap.forEachRun((first, count) => runs.push([first, count]));
      expect(runs).toEqual(model.runs());
      expect(bitmap.count()).toBe(model.set.size);
      expect(bitmap.next(0)).toBe(model.find(0, pages, true));
      expect(bitmap.nextClear(0)).toBe(model.find(0, pages, false));
      for (let page = 0; page < pages; page += 1) {
        expect(bitmap.has(page)).toBe(model.set.has(page));
      }
    }),
    { numRuns: 500 },
  );
});

test('any part that begins at a word goes on the wire as the same bits', () => {
  fc.assert(
    fc.property(sizes, someSteps, fc.nat(6), fc.nat(200), (pages, steps, word, length) => {
      const bitmap = new PageBitmap(pages);
      const model = new Model(pages);
      for (const it of steps) step(bitmap, model, it);
      expect([...bitmap.toBytes()]).toEqual(model.bytes(0, pages));
      const first = Math.min(word * 32, pages & ~31);
      const count = Math.min(length, pages - first);
      expect([...bitmap.toBytes(first, count)]).toEqual(model.bytes(first, count));
    }),
  );
});

test('the bytes on the wire begin with the lowest page in the lowest bit', () => {
  const bitmap = bitmapWith(40, [0, 9, 31, 32, 39]);
  expect(Buffer.from(bitmap.toBytes()).toString('hex')).toBe('0102008081');
  expect(Buffer.from(bitmap.toBytes(32, 7)).toString('hex')).toBe('01'); // page 39 is not asked for
});

test('a part that begins within a word, or ends past the end, is our own mistake', () => {
  const bitmap = new PageBitmap(64);
  expect(() => bitmap.toBytes(8, 8)).toThrow(expect.objectContaining(ourMistake));
  expect(() => bitmap.toBytes(32, 33)).toThrow(expect.objectContaining(ourMistake));
});

test('adding all of another bitmap tells how many pages were new', () => {
  fc.assert(
    fc.property(sizes, someSteps, someSteps, (pages, steps, otherSteps) => {
      const bitmap = new PageBitmap(pages);
      const model = new Model(pages);
      const other = new PageBitmap(pages);
      const otherModel = new Model(pages);
      for (const it of steps) step(bitmap, model, it);
      for (const it of otherSteps) step(other, otherModel, it);
      const union = new Set([...model.set, ...otherModel.set]);
      expect(bitmap.addAll(other)).toBe(union.size - model.set.size);
      expect(pagesIn(bitmap)).toEqual([...union].toSorted((a, b) => a - b));
      expect(pagesIn(other).length).toBe(otherModel.set.size);
    }),
  );
});

test('a bitmap that becomes the complement of another has every other page, and none past the end', () => {
  fc.assert(
    fc.property(sizes, someSteps, someSteps, (pages, steps, otherSteps) => {
      const bitmap = new PageBitmap(pages);
      const other = new PageBitmap(pages);
      const model = new Model(pages);
      for (const it of steps) step(bitmap, new Model(pages), it);
      for (const it of otherSteps) step(other, model, it);
      bitmap.assignComplement(other);
      expect(bitmap.count()).toBe(pages - model.set.size);
      expect(pagesIn(bitmap).filter((page) => model.set.has(page))).toEqual([]);
      expect(pagesIn(other)).toEqual([...model.set].toSorted((a, b) => a - b));
    }),
  );
});

test('two bitmaps over one buffer are the same bitmap', () => {
  const bitmap = new PageBitmap(50);
  const shared = new PageBitmap(50, bitmap.buffer);
  bitmap.addRun(30, 10);
  expect(shared.takeRun(0, 35)).toBe(5);
  expect(pagesIn(bitmap)).toEqual([35, 36, 37, 38, 39]);
});

test('the buffer of a bitmap of another size is refused', () => {
  const { buffer } = new PageBitmap(64);
  expect(() => new PageBitmap(65, buffer)).toThrow(expect.objectContaining(ourMistake));
});

test('of two threads that claim the same pages, exactly one gets each', async () => {
  const pages = 2 ** 18 + 13;
  const rounds = 8;
  const bitmaps = Array.from({ length: rounds }, () => new PageBitmap(pages));
  for (const bitmap of bitmaps) bitmap.fill();
  const claims = Array.from({ length: rounds }, () => new Uint8Array(new SharedArrayBuffer(pages)));
  const gate = new Int32Array(new SharedArrayBuffer(4));
  // Few pages a claim: whoever is behind finds its next page in the word where the other claims.
  const body = `
    const { seed, pages, buffers, claims, gate } = data;
    let random = seed;
    let claimed = 0;
    for (const [round, buffer] of buffers.entries()) {
      const bitmap = new lib.PageBitmap(pages, buffer);
      Atomics.add(gate, 0, 1);
      while (Atomics.load(gate, 0) < 2 * (round + 1)); // both begin at once
      for (let page = bitmap.next(0); page >= 0; page = bitmap.next(page)) {
        random = (Math.imul(random, 1103515245) + 12345) >>> 0;
        const max = (random >>> 16) % 5;
        const count = max === 0 ? Number(bitmap.take(page)) : bitmap.takeAhead(page, max);
        for (let i = 0; i < count; i++) Atomics.add(claims[round], page + i, 1);
        claimed += count;
        page += count;
      }
    }
    return claimed;`;
  const run = (seed: number): Promise<unknown> => {
    const buffers = bitmaps.map((bitmap) => bitmap.buffer);
    const data = { seed, pages, buffers, claims, gate };
    return inWorker({ modules: ['memory/page-bitmap'], data, body }).answer;
  };
  const [one, other] = await Promise.all([run(1), run(2)]);
  for (const claim of claims) expect(claim.findIndex((times) => times !== 1)).toBe(-1);
  expect(Number(one) + Number(other)).toBe(rounds * pages);
  expect(Math.min(Number(one), Number(other))).toBeGreaterThan(0); // there was a race
});

test('of two threads that set the same pages, exactly one is told of each', async () => {
  const pages = 2 ** 16 + 5;
  const bitmap = new PageBitmap(pages);
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const body = `
    const { pages, buffer, gate, length } = data;
    const bitmap = new lib.PageBitmap(pages, buffer);
    Atomics.add(gate, 0, 1);
    while (Atomics.load(gate, 0) < 2);
    let added = 0;
    for (let first = 0; first < pages; first += length) {
      added += bitmap.addRun(first, Math.min(length, pages - first));
    }
    return added;`;
  const run = (length: number): Promise<unknown> => {
    const data = { pages, buffer: bitmap.buffer, gate, length };
    return inWorker({ modules: ['memory/page-bitmap'], data, body }).answer;
  };
  const [one, other] = await Promise.all([run(3), run(41)]);
  expect(Number(one) + Number(other)).toBe(pages);
  expect(bitmap.count()).toBe(pages);
});

test('what is new in another bitmap is told once, and is in it from then on', () => {
  const pages = 100;
  const some = fc.uniqueArray(fc.nat(pages - 1));
  fc.assert(
    fc.property(some, some, (ours, theirs) => {
      const bitmap = new PageBitmap(pages);
      const known = new PageBitmap(pages);
      for (const page of ours) bitmap.add(page);
      for (const page of theirs) known.add(page);
      const missing = ours.filter((page) => !theirs.includes(page));
      const news = bitmap.newIn(known);
      expect(news.count()).toBe(missing.length);
      expect(missing.every((page) => news.has(page) && known.has(page))).toBe(true);
      expect(known.count()).toBe(theirs.length + missing.length);
      expect(bitmap.count()).toBe(ours.length);
      expect(bitmap.newIn(known).count()).toBe(0);
    }),
  );
});
