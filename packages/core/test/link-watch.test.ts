import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LinkWatch, type Pulse, silenceMillisMax } from '../src/migration/link-watch.ts';
import { changeParameters, parameterDefaults } from '../src/parameters.ts';

const LIMIT_MILLIS = 1000;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

function watch(pulses: Record<string, Pulse>, limitMillis = (): number => LIMIT_MILLIS): string[] {
  const told: string[] = [];
  const linkWatch = new LinkWatch(limitMillis, (reason) => told.push(reason.message));
  for (const [channel, pulse] of Object.entries(pulses)) linkWatch.add(channel, pulse);
  linkWatch.begin();
  return told;
}

test('a channel that brings nothing is told once, within the limit', () => {
  let reads = 3;
  const told = watch({ main: () => reads });
  for (let i = 0; i < 50; i += 1) {
    reads += 2;
    vi.advanceTimersByTime(LIMIT_MILLIS / 2);
  }
  expect(told).toEqual([]);
  vi.advanceTimersByTime(LIMIT_MILLIS * 0.3);
  expect(told).toEqual([]);
  vi.advanceTimersByTime(LIMIT_MILLIS * 0.2); // one limit after the last change
  expect(told).toEqual(['the link was silent for 1000 ms (main channel)']);
  vi.advanceTimersByTime(LIMIT_MILLIS * 10);
  expect(told).toHaveLength(1);
});

test('each channel is watched: others do not speak for it', () => {
  let reads = 3;
  const told = watch({ main: () => (reads += 2), urgent: () => 3 });
  vi.advanceTimersByTime(LIMIT_MILLIS);
  expect(told).toEqual(['the link was silent for 1000 ms (urgent channel)']);
});

test('who does not wait for the peer does not blame it', () => {
  let reads: number | undefined = 3;
  const told = watch({ main: () => reads });
  vi.advanceTimersByTime(LIMIT_MILLIS * 0.8);
  reads = undefined;
  vi.advanceTimersByTime(LIMIT_MILLIS * 10);
  reads = 3;
  vi.advanceTimersByTime(LIMIT_MILLIS * 0.8);
  expect(told).toEqual([]);
});

test('a process that stood still itself counts no time that it did not look', () => {
  const start = Date.now();
  const told = watch({ main: () => 3 });
  vi.advanceTimersByTime(LIMIT_MILLIS * 0.5);
  vi.setSystemTime(start + 3_600_000); // an hour, in which no timer came
  vi.advanceTimersByTime(LIMIT_MILLIS * 0.3);
  expect(told).toEqual([]);
});

test('a limit that changes holds from the next look on', () => {
  let limit = 60_000;
  const told = watch({ main: () => 3 }, () => limit);
  vi.advanceTimersByTime(6_000);
  limit = LIMIT_MILLIS;
  vi.advanceTimersByTime(6_000 + LIMIT_MILLIS);
  expect(told).toHaveLength(1);
});

test('however long the limit was, another one is noticed within a second', () => {
  let limit = 3_600_000;
  const told: string[] = [];
  const limits: number[] = [];
  const linkWatch = new LinkWatch(
    () => limit,
    (reason) => told.push(reason.message),
    (millis) => limits.push(millis),
  );
  linkWatch.add('main', () => 3);
  linkWatch.begin();
  vi.advanceTimersByTime(10_000);
  expect(limits).toEqual([]);
  limit = 60_000;
  vi.advanceTimersByTime(1000);
  expect(limits).toEqual([60_000]);
  expect(told).toEqual([]);
  limit = LIMIT_MILLIS; // it has been silent for longer
  vi.advanceTimersByTime(1000);
  expect(told).toEqual(['the link was silent for 1000 ms (main channel)']);
});

test('after the end nobody looks any more, nor begins to', () => {
  const told: string[] = [];
  const linkWatch = new LinkWatch(
    () => LIMIT_MILLIS,
    (reason) => told.push(reason.message),
  );
  linkWatch.add('main', () => 3);
  linkWatch.begin();
  vi.advanceTimersByTime(LIMIT_MILLIS / 2);
  linkWatch.end();
  linkWatch.begin();
  expect(vi.getTimerCount()).toBe(0);
  expect(told).toEqual([]);
});

test('fewer than three intervals are no silence', () => {
  const parameters = changeParameters(parameterDefaults, { 'x-link-timeout': 100 });
  expect(silenceMillisMax(parameters, 1000)).toBe(3000);
  expect(silenceMillisMax(parameters, 10)).toBe(100);
  expect(silenceMillisMax(parameters, 0)).toBe(100);
});
