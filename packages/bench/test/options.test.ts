import { expect, test } from 'vitest';

import { checkOptions, defaultGuest, memoryKind } from '../src/migrate/options.ts';
import { someOptions } from './some-runs.ts';

test.each([
  { channels: 0 },
  { channels: 17 },
  { channels: 1.5 },
  { zlibLevel: 1 },
  { zlibLevel: 10, channels: 2 },
  { zlibLevel: 0.5, channels: 2 },
  { runs: 0 },
  { runs: 1.5 },
  { runs: 1001 },
  { memoryBytes: 2 ** 24 - 4096 },
  { memoryBytes: 2 ** 24 + 1 },
])('%o is refused', (change) => {
  expect(() => checkOptions({ ...someOptions, ...change })).toThrow(RangeError);
  expect(() => checkOptions(someOptions)).not.toThrow();
  expect(() => checkOptions({ ...someOptions, channels: 2, zlibLevel: 9 })).not.toThrow();
});

test('only a precopy can find its memory preallocated', () => {
  expect(memoryKind({ ...someOptions, mode: 'precopy' })).toBe('preallocated');
  expect(memoryKind({ ...someOptions, mode: 'postcopy' })).toBe('warmed');
  expect(memoryKind({ ...someOptions, mode: 'recovery' })).toBe('warmed');
  expect(memoryKind({ ...someOptions, mode: 'precopy', fresh: true })).toBe('fresh');
  expect(memoryKind({ ...someOptions, mode: 'postcopy', fresh: true })).toBe('fresh');
});

test('a postcopy has a guest that misses pages', () => {
  expect(defaultGuest('precopy').workload).toBe('idle');
  expect(defaultGuest('postcopy').workload).not.toBe('idle');
  expect(defaultGuest('recovery').workload).not.toBe('idle');
});
