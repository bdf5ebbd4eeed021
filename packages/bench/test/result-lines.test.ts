import { expect, test } from 'vitest';

import { resultLines } from '../src/migrate/result-lines.ts';
import { summarize } from '../src/migrate/summary.ts';
import { someMigration, someOptions, somePump } from './some-runs.ts';

const runs = [{ migration: someMigration(3e9), pump: somePump(4e9) }];
const figures = summarize(runs);

test('the figures follow what was measured, on which machine, into what memory', () => {
  const options = { ...someOptions, runs: 1 };
  const lines = resultLines({ machine: 'a machine', options, runs, figures });
  expect(lines.slice(0, 6)).toEqual([
    'godwit bench migrate: precopy, 1 GiB, unix, idle guest, RAM preallocated, 1 run',
    'a machine',
    'destination RAM touched before each run, for migration and pump alike (--fresh: not)',
    '',
    'migration                  3  GB/s',
    'raw pump: the limit        4  GB/s',
  ]);
});

test('in postcopy it is said that the memory is fresh by design, and was warmed', () => {
  const options = { ...someOptions, mode: 'postcopy', workload: 'random', rate: 5000 } as const;
  const [headline, , memory] = resultLines({ machine: '', options, runs, figures });
  expect(headline).toContain('random guest at 5000 pages/s, RAM fresh, host warmed');
  expect(memory).toMatch(/fresh by design.*warmed/);
});

test('what was compared with is named, and how its guest ran', () => {
  const found = { command: 'qemu-system-x86_64', version: '10.0.13', accelerator: 'tcg' } as const;
  const peer = { type: 'qemu', ...found } as const;
  const lines = resultLines({ machine: '', options: someOptions, peer, runs, figures });
  expect(lines[3]).toBe('beside QEMU 10.0.13 with tcg: qemu-system-x86_64');
});
