import { expect, test } from 'vitest';

import { checkPeerOptions } from '../src/peer/check-peer-options.ts';
import { someOptions } from './some-runs.ts';

const beside = { ...someOptions, peer: { type: 'qemu' } } as const;

test.each([
  [{ memoryBytes: 2 ** 31 + 2 ** 20 }, /--memory .* up to 2 GiB/],
  [{ memoryBytes: 2 ** 30 + 4096 }, /--memory .* whole MiB/],
  [{ workload: 'zipf' }, /--workload zipf/],
  [{ untouchedBytes: 2 ** 30 }, /never touched: not with --peer qemu/],
  [{ zlibLevel: 1 }, /--compression: not with --peer qemu/],
  [{ rate: 1500 }, /--rate 1500: .* whole thousands/],
] as const)('%o is refused beside QEMU, by name, and nowhere else', (change, message) => {
  expect(() => checkPeerOptions({ ...beside, ...change })).toThrow(message);
  expect(() => checkPeerOptions({ ...beside, ...change })).toThrow(RangeError);
  expect(() => checkPeerOptions({ ...someOptions, ...change })).not.toThrow();
});

test('2 GiB and what a postcopy has by default are possible', () => {
  const most = { memoryBytes: 2 ** 31, mode: 'postcopy', workload: 'random', rate: 100_000 };
  expect(() => checkPeerOptions({ ...beside, ...most } as typeof beside)).not.toThrow();
});
