import { expect, test } from 'vitest';

import { parseCpuSeconds, processCpuSeconds } from '../src/peer/process-times.ts';

test('a name that looks like fields does not shift them', () => {
  const rest = '1 1 0 -1 4194304 100 0 0 0 1234 66 0 0 20 0 3 0 100 1000 10';
  expect(parseCpuSeconds(`42 (a) b 7 (c) S 1 ${rest}`)).toBe(13);
});

test('the time of a process is user and system time together', () => {
  const { user, system } = process.cpuUsage();
  const expected = (user + system) / 1e6;
  expect(Math.abs(processCpuSeconds(process.pid) - expected)).toBeLessThan(0.2);
});
