import { expect, test } from 'vitest';

import { backOffMillis } from '../../src/evacuate/back-off.ts';
import { resultLines, tableLines } from '../../src/evacuate/evacuation-lines.ts';
import { type GuestReport, newReport, ownerAt } from '../../src/evacuate/guest-report.ts';

function report(changes: Partial<GuestReport>): GuestReport {
  return { ...newReport('unix:/a.qmp'), name: 'web-1', to: 'unix:/b.qmp', ...changes };
}

test('what has become of a guest is said with where it is and what to do', () => {
  const moved = report({ phase: 'moved', bytesSent: 1024 ** 2, totalMillis: 250 });
  const left = report({ phase: 'left', reason: 'interrupted' });
  const paused = report({ phase: 'paused', owner: 'destination', uri: 'unix:/m', reason: 'lost' });
  const unknown = report({ phase: 'unknown', owner: 'unknown', reason: 'gone' });
  const moving = report({ phase: 'moving', status: 'device', owner: 'switching-over' });
  expect(resultLines([moved, left, paused, unknown, moving])).toEqual([
    'web-1: moved to unix:/b.qmp (1.00 MiB sent, in 250 ms)',
    'web-1: left running at unix:/a.qmp: interrupted',
    'web-1: runs at unix:/b.qmp without all of its pages, postcopy-paused: lost; ' +
      'to go on: godwit recover --qmp unix:/a.qmp unix:/m',
    'web-1: nobody here knows who owns it; ask unix:/a.qmp and unix:/b.qmp: gone',
    'web-1: device, switching over from unix:/a.qmp to unix:/b.qmp; ' +
      'to see it: godwit status --qmp unix:/a.qmp',
    '1 of 5 guests moved, 1 left, 1 paused, 1 unknown',
  ]);
});

test('the table fits a terminal of 80 columns, whatever the names', () => {
  const guests = [
    report({ name: 'x'.repeat(100), phase: 'moving', status: 'postcopy-recover-setup' }),
    report({
      phase: 'moving',
      bytesSent: 10 ** 13,
      bytesPerSecond: 10 ** 12,
      bytesTotal: 10 ** 13,
    }),
    report({ phase: 'waiting' }),
  ];
  for (const line of tableLines(guests, 80)) expect(line.length).toBeLessThanOrEqual(80);
  expect(tableLines(guests, 80)).toHaveLength(5);
});

test('before the switchover a guest is the source’s, after it the destination’s', () => {
  for (const status of ['none', 'setup', 'active', 'cancelling', 'cancelled', 'failed']) {
    expect(ownerAt(status)).toBe('source');
  }
  for (const status of ['postcopy-active', 'postcopy-paused', 'postcopy-recover', 'completed']) {
    expect(ownerAt(status)).toBe('destination');
  }
  expect(ownerAt('device')).toBe('switching-over');
});

test('a wait doubles up to a limit, and is never the same for all', () => {
  expect([1, 2, 3, 20].map((retry) => backOffMillis(retry, 0.5))).toEqual([
    500, 1000, 2000, 15_000,
  ]);
  expect(backOffMillis(1, 0)).toBe(375);
  expect(backOffMillis(1, 1)).toBe(625);
});
