import { expect, test } from 'vitest';

import { microLine } from '../src/micro/micro-lines.ts';
import { runMicro } from '../src/micro/run-micro.ts';

test('every micro-benchmark runs, over little memory and for a moment', () => {
  const told: string[] = [];
  const { figures } = runMicro({ memoryBytes: 2 ** 26, timeMillis: 1 }, ({ name }) => {
    told.push(name);
  });
  expect(told).toEqual(figures.map(({ name }) => name));
  expect([...new Set(figures.map((figure) => figure.group))]).toEqual([
    'frames',
    'bitmap of 64 MiB',
    'dirty sync of 16 MiB',
    'dirty sync of 64 MiB',
    'zero pages, 16 MiB of each',
    'portable memory, 16 MiB',
    'fault bookkeeping',
  ]);
  for (const figure of figures) {
    expect(figure.runs).toBeGreaterThan(0);
    expect(figure.nanosPerUnit).toBeGreaterThan(0);
    expect(figure.p99Micros).toBeGreaterThanOrEqual(figure.medianMicros);
    expect(figure.gigabytesPerSecond ?? 1).toBeGreaterThan(0);
  }
});

test.each([0, 2 ** 25, 2 ** 26 + 4096])('memory of %d bytes is refused', (memoryBytes) => {
  expect(() => runMicro({ memoryBytes, timeMillis: 1 })).toThrow(RangeError);
});

test('a line tells what one page costs, and how much memory that is a second', () => {
  const figure = { group: 'pages', name: 'looked at', runs: 8, unit: 'page' };
  const times = { medianMicros: 1500, p99Micros: 12_340, nanosPerUnit: 150 };
  const line = microLine({ ...figure, ...times, gigabytesPerSecond: 27.3 });
  expect(line.trim().split(/ {2,}/)).toEqual([
    'looked at',
    '1.50 ms',
    '12.3 ms',
    '150 ns/page',
    '27.3 GB/s',
  ]);
});
