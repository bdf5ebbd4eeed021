import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Blocktime } from '../src/memory/blocktime.ts';

test('the waits of each thread add up', () => {
  const blocktime = new Blocktime(2);
  blocktime.add(7, 10, 13);
  blocktime.add(8, 11, 12);
  blocktime.add(7, 20, 24);
  expect(blocktime.byThread()).toEqual([
    { threadId: 7, waits: 2, millis: 7 },
    { threadId: 8, waits: 1, millis: 1 },
  ]);
});

test('the guest stands still only while every vCPU waits', () => {
  const blocktime = new Blocktime(3);
  expect(blocktime.add(1, 10, 20)).toBe(0);
  expect(blocktime.add(2, 12, 22)).toBe(0);
  expect(blocktime.add(3, 14, 17)).toBe(3); // the third waits from 14 to 17, as the others do
  expect(blocktime.add(3, 18, 30)).toBe(2); // from 18 to 20
  expect(blocktime.add(1, 40, 50)).toBe(0);
});

test('a guest of one vCPU stands still whenever that waits', () => {
  const blocktime = new Blocktime(1);
  expect(blocktime.add(1, 10, 12.5)).toBe(2.5);
  expect(blocktime.add(1, 13, 14)).toBe(1);
});

test('waits one after the other never stop the guest', () => {
  const blocktime = new Blocktime(2);
  expect(blocktime.add(1, 10, 20)).toBe(0);
  expect(blocktime.add(2, 20, 30)).toBe(0);
  expect(blocktime.add(1, 30, 40)).toBe(0);
});

test('the guest never stands still for longer than the vCPU that waited least', () => {
  const waits = fc.array(fc.tuple(fc.nat(2), fc.nat(50), fc.nat(50)), { maxLength: 40 });
  fc.assert(
    fc.property(waits, (steps) => {
      const blocktime = new Blocktime(3);
      const freeAt = [0, 0, 0];
      let stillMillis = 0;
      for (const [thread, pause, length] of steps) {
        const asked = (freeAt[thread] ?? 0) + pause;
        freeAt[thread] = asked + length;
        stillMillis += blocktime.add(thread, asked, asked + length);
      }
      const totals = blocktime.byThread().map(({ millis }) => millis);
      const least = totals.length < 3 ? 0 : Math.min(...totals);
      expect(stillMillis).toBeGreaterThanOrEqual(0);
      expect(stillMillis).toBeLessThanOrEqual(least);
    }),
  );
});
