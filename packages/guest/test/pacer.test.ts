import { expect, test } from 'vitest';
import { PACE_DEBT_MILLIS_MAX, Pacer } from '../src/vcpu/pacer.ts';

test('steps fall due evenly', () => {
  const pacer = new Pacer(2000, 50);
  expect(pacer.due(50)).toBe(0);
  expect(pacer.due(53)).toBe(6);
  pacer.made(6);
  expect(pacer.due(53)).toBe(0);
  expect(pacer.due(55)).toBe(4);
});

test('a slow pace sleeps until the next step, a fast one no shorter than a millisecond', () => {
  expect(new Pacer(4, 0).millisToNext(100)).toBe(150);
  expect(new Pacer(1_000_000, 0).millisToNext(0)).toBe(1);
});

test('a slow pace makes each step as it falls due, however long that takes', () => {
  const pacer = new Pacer(2, 0);
  expect(pacer.due(499)).toBe(0);
  expect(pacer.due(500)).toBe(1);
});

test('a stall is not made up by a storm', () => {
  const pacer = new Pacer(1000, 0);
  expect(pacer.due(60_000)).toBeLessThanOrEqual(PACE_DEBT_MILLIS_MAX + 1);
});

test('what a long sleep left undone is made up', () => {
  const pacer = new Pacer(1000, 0);
  expect(pacer.due(20)).toBe(20);
  pacer.made(5);
  expect(pacer.due(21)).toBe(16);
});

test('time that is skipped makes no step due', () => {
  const pacer = new Pacer(1000, 0);
  pacer.skip(50);
  expect(pacer.due(60)).toBe(10);
});
