import { expect, test } from 'vitest';

import { summarizePeers } from '../src/peer/peer-figures.ts';
import type { PeerRun } from '../src/peer/peer-runs.ts';
import { peerVariants } from '../src/peer/variants.ts';
import { someMigration } from './some-runs.ts';

function peerRun(variant: PeerRun['variant'], bytesPerSecond: number): PeerRun {
  return {
    variant,
    millis: 500,
    bytesPerSecond,
    cpuSecondsPerGib: { source: 0.1, destination: 0.2 },
    downtimeMillis: 7,
    passes: 3,
  };
}

test('ours is compared with QEMU of the same run, not with the others', () => {
  const [variant] = peerVariants({ mode: 'precopy', channels: 1 });
  if (variant === undefined) throw new Error('no variant');
  const runs = [
    { migration: someMigration(1e9), peers: [peerRun(variant, 2e9)] },
    { migration: someMigration(6e9), peers: [peerRun(variant, 3e9)] },
    { migration: someMigration(9e9), peers: [peerRun(variant, 9e9)] },
  ];
  const figures = summarizePeers(runs);
  const figure = (key: string) => figures.find((it) => it.key === key);
  expect(figure('qemu-ratio')).toMatchObject({ median: 1, min: 0.5, max: 2 });
  expect(figure('qemu-rate')).toMatchObject({ median: 3, unit: 'GB/s', label: 'QEMU: migration' });
  expect(figures.some(({ key }) => key.includes('stall'))).toBe(false);
});

test('each variant has its figures, a postcopy also how long the guest stalled', () => {
  const rest = { faults: 9, p90: 190, p99: 199, max: 200, distribution: [] };
  const stallsOf = (p50: number) => ({ ...rest, p50 });
  const peers = peerVariants({ mode: 'postcopy', channels: 1 }).map((variant) =>
    variant.preempt
      ? Object.assign(peerRun(variant, 2e9), { stalls: stallsOf(100) })
      : Object.assign(peerRun(variant, 1e9), { stalls: stallsOf(50) }),
  );
  const migration = { ...someMigration(2e9), stalls: stallsOf(25) };
  const figures = summarizePeers([{ migration, peers }]);
  const median = (key: string) => figures.find((it) => it.key === key)?.median;
  expect(median('qemu-ratio')).toBe(2);
  expect(median('qemu-preempt-ratio')).toBe(1);
  expect(median('qemu-stall-p50')).toBe(50);
  expect(median('qemu-preempt-stall-p50')).toBe(100);
  expect(median('qemu-stall-p50-ratio')).toBe(0.5);
  expect(median('qemu-preempt-stall-p50-ratio')).toBe(0.25);
  expect(figures.find(({ key }) => key === 'qemu-preempt-stall-p50')?.label).toBe(
    'QEMU preempt: guest stalled, p50',
  );
});

test('stalls are not compared with those of a guest that missed no page', () => {
  const none = { faults: 0, p50: 0, p90: 0, p99: 0, max: 0, distribution: [] };
  const [variant] = peerVariants({ mode: 'postcopy', channels: 1 });
  if (variant === undefined) throw new Error('no variant');
  const peers = [{ ...peerRun(variant, 1e9), stalls: none }];
  const figures = summarizePeers([{ migration: { ...someMigration(2e9), stalls: none }, peers }]);
  expect(figures.map(({ key }) => key)).not.toContain('qemu-stall-p50-ratio');
});

test('without a peer there is nothing to show', () => {
  expect(summarizePeers([{ migration: someMigration(1e9) }])).toEqual([]);
  expect(summarizePeers([{ migration: someMigration(1e9), peers: [] }])).toEqual([]);
});

test('more channels of ours are compared with as many of multifd', () => {
  expect(peerVariants({ mode: 'precopy', channels: 4 })).toEqual([
    {
      key: 'qemu-multifd',
      label: 'QEMU multifd 4',
      postcopy: false,
      preempt: false,
      multifdChannels: 4,
    },
  ]);
});
