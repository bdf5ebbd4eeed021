import { expect, test } from 'vitest';
import { FaultLedger, settleRun, sharedMillis } from '../src/memory/fault-ledger.ts';
import { inWorker } from './in-worker.ts';
import { bitmapWith, pagesIn } from './real-ram.ts';

/** The faults that are over and were not told before. */
function settledIn(ledger: FaultLedger) {
  const settled: { threadId: number; askedMillis: number; placedMillis: number }[] = [];
  ledger.collect((threadId, askedMillis, placedMillis) => {
    settled.push({ threadId, askedMillis, placedMillis });
  });
  return settled;
}

test('a fault that is over is told once, with who waited and from when to when', () => {
  const ledger = new FaultLedger();
  ledger.open(1, 70_000, 4321, 100.5);
  ledger.settle(1, 70_000, 102.25);
  expect(settledIn(ledger)).toEqual([{ threadId: 4321, askedMillis: 100.5, placedMillis: 102.25 }]);
  expect(settledIn(ledger)).toEqual([]);
});

test('a fault is not told before its own page is there', () => {
  const ledger = new FaultLedger();
  ledger.open(1, 5, 10, 1);
  ledger.settle(1, 6, 2);
  ledger.settle(0, 5, 2);
  expect(settledIn(ledger)).toEqual([]);
  ledger.settle(1, 5, 3);
  expect(settledIn(ledger)).toMatchObject([{ threadId: 10, placedMillis: 3 }]);
});

test('every thread that waits for a page is told when it comes', () => {
  const ledger = new FaultLedger();
  ledger.open(0, 5, 10, 1);
  ledger.open(0, 5, 11, 2);
  ledger.settle(0, 5, 4);
  const settled = new Set(settledIn(ledger).map(({ threadId }) => threadId));
  expect(settled).toEqual(new Set([10, 11]));
});

test('a page that comes a second time does not end a fault twice', () => {
  const ledger = new FaultLedger();
  ledger.open(0, 5, 10, 1);
  ledger.settle(0, 5, 4);
  ledger.settle(0, 5, 9);
  expect(settledIn(ledger)).toMatchObject([{ placedMillis: 4 }]);
});

test('slots are used again: more faults than slots pass through, one after the other', () => {
  const ledger = new FaultLedger();
  let settled = 0;
  for (let page = 0; page < 1000; page += 1) {
    ledger.open(0, page, 1, page);
    ledger.settle(0, page, page + 1);
    settled += settledIn(ledger).length;
  }
  expect(settled).toBe(1000);
});

test('more faults at once than there is room for are missed, without harm to the others', () => {
  const ledger = new FaultLedger();
  for (let page = 0; page < 300; page += 1) ledger.open(0, page, page, 1);
  for (let page = 0; page < 300; page += 1) ledger.settle(0, page, 2);
  const threads = settledIn(ledger).map(({ threadId }) => threadId);
  expect(threads).toEqual(Array.from({ length: 256 }, (_, i) => i));
  ledger.open(0, 299, 299, 3);
  ledger.settle(0, 299, 4);
  expect(settledIn(ledger)).toMatchObject([{ threadId: 299 }]);
});

test('a slot between two that wait is used again, and none of the three is lost', () => {
  const ledger = new FaultLedger();
  for (const page of [0, 1, 2]) ledger.open(0, page, page, 1);
  ledger.settle(0, 1, 2);
  expect(settledIn(ledger)).toMatchObject([{ threadId: 1 }]);
  ledger.open(0, 3, 3, 1);
  ledger.settle(0, 2, 2);
  expect(settledIn(ledger)).toMatchObject([{ threadId: 2 }]);
  for (const page of [0, 3]) ledger.settle(0, page, 3);
  expect(settledIn(ledger)).toMatchObject([{ threadId: 0 }, { threadId: 3 }]);
});

test('what other threads place is told here', async () => {
  const ledger = new FaultLedger();
  for (let page = 0; page < 256; page += 1) ledger.open(0, page, page, 1);
  const body = `
    const ledger = new lib.FaultLedger(data);
    for (let page = 0; page < 256; page++) ledger.settle(0, page, 2);`;
  const place = (): Promise<unknown> =>
    inWorker({ modules: ['memory/fault-ledger'], data: ledger.buffer, body }).answer;
  await Promise.all([place(), place()]);
  const threads = settledIn(ledger).map(({ threadId }) => threadId);
  expect(threads).toEqual(Array.from({ length: 256 }, (_, i) => i));
});

test('the clock is the same in every thread of the process', async () => {
  const before = sharedMillis();
  const { answer } = inWorker({
    modules: ['memory/fault-ledger'],
    body: 'return lib.sharedMillis();',
  });
  const there = (await answer) as number;
  expect(there).toBeGreaterThan(before);
  expect(there).toBeLessThan(sharedMillis());
});

test('a run that is placed settles the requested pages in it, and no other', () => {
  const ledger = new FaultLedger();
  const requested = bitmapWith(100, [4, 10, 40, 41]);
  for (const page of [4, 10, 40, 41]) ledger.open(2, page, page, sharedMillis());
  settleRun(ledger, requested, 2, 10, 31); // pages 10 to 40
  expect(settledIn(ledger).map(({ threadId }) => threadId)).toEqual([10, 40]);
  expect(pagesIn(requested)).toEqual([4, 41]);
});

test('the time a fault took is the time until its page was placed', () => {
  const ledger = new FaultLedger();
  const asked = sharedMillis();
  ledger.open(0, 0, 1, asked);
  settleRun(ledger, bitmapWith(1, [0]), 0, 0, 1);
  const [fault] = settledIn(ledger);
  expect(fault?.placedMillis).toBeGreaterThan(asked);
  expect(fault?.placedMillis).toBeLessThanOrEqual(sharedMillis());
});
