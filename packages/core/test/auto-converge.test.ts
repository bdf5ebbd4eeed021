import { expect, test } from 'vitest';
import { AutoConverge } from '../src/migration/auto-converge.ts';
import { changeParameters, parameterDefaults } from '../src/parameters.ts';

const MIB = 1024 * 1024;

/** Periods of 1.1 s, in each of which 100 MiB are sent. */
function newMigration(changes: Record<string, unknown> = {}) {
  const throttles: number[] = [];
  let now = 5000;
  let sent = 7 * MIB;
  const set = { parameters: changeParameters(parameterDefaults, changes) };
  const autoConverge = new AutoConverge(
    (percentage) => throttles.push(percentage),
    () => set.parameters,
    sent,
    () => now,
  );
  const period = (dirtiedMib: number, millis = 1100): void => {
    now += millis;
    sent += 100 * MIB;
    autoConverge.synced({ dirtiedBytes: dirtiedMib * MIB, transferredBytes: sent });
  };
  return { autoConverge, throttles, period, set };
}

test('a guest that writes too much for the second time is slowed down, then step by step', () => {
  const { throttles, period } = newMigration();
  period(51);
  expect(throttles).toEqual([]);
  period(51);
  expect(throttles).toEqual([20]);
  for (let i = 0; i < 4; i += 1) period(51);
  expect(throttles).toEqual([20, 30, 40]);
});

test('what is allowed is the threshold, of what was sent', () => {
  const { throttles, period } = newMigration({ 'throttle-trigger-threshold': 80 });
  for (let i = 0; i < 10; i += 1) period(80);
  expect(throttles).toEqual([]);
  period(81);
  period(81);
  expect(throttles).toEqual([20]);
});

test('the two times need not be in a row, as in QEMU', () => {
  const { throttles, period } = newMigration();
  period(100);
  period(0);
  period(0);
  period(100);
  expect(throttles).toEqual([20]);
});

test('syncs that follow each other closely count together', () => {
  const { throttles, period } = newMigration();
  for (let i = 0; i < 2; i += 1) {
    period(90, 400); // 300 MiB are sent in the three of them
    period(90, 400);
    period(0, 400);
  }
  expect(throttles).toEqual([20]); // 180 of 150 that are allowed
});

test('no throttle above max-cpu-throttle, which may change on the way', () => {
  const { throttles, period, set, autoConverge } = newMigration({
    'cpu-throttle-initial': 50,
    'cpu-throttle-increment': 30,
    'max-cpu-throttle': 95,
  });
  for (let i = 0; i < 8; i += 1) period(100);
  expect(throttles).toEqual([50, 80, 95, 95]);
  expect(autoConverge.isExhausted).toBe(true);
  set.parameters = changeParameters(set.parameters, { 'max-cpu-throttle': 99 });
  expect(autoConverge.isExhausted).toBe(false);
  period(100);
  period(100);
  expect(throttles.at(-1)).toBe(99);
});

test('with tailslow the steps become smaller as the guest comes near to what it may', () => {
  const { throttles, period } = newMigration({
    'cpu-throttle-tailslow': true,
    'cpu-throttle-increment': 25,
  });
  const twice = (dirtiedMib: number): void => {
    period(dirtiedMib);
    period(dirtiedMib);
  };
  twice(100);
  expect(throttles).toEqual([20]);
  twice(500); // it would have to write a tenth: a whole step
  expect(throttles).toEqual([20, 45]);
  twice(55); // 55 % of its time at 50/55 of what it writes: 5 less
  expect(throttles).toEqual([20, 45, 50]);
});

test('disposed of it lets the guest go, and does nothing to one that it never slowed down', () => {
  const slowed = newMigration();
  slowed.period(100);
  slowed.period(100);
  slowed.autoConverge[Symbol.dispose]();
  expect(slowed.throttles).toEqual([20, 0]);
  const calm = newMigration();
  calm.autoConverge[Symbol.dispose]();
  expect(calm.throttles).toEqual([]);
});
