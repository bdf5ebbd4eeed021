import { describe, expect, test } from 'vitest';
import { inScene, type SourceState, sourceScenes } from '../support/command-matrix.ts';
import type { GuestProcess } from '../support/guest-process.ts';
import { type Pair, withPair } from '../support/pair.ts';
import { endless, fast } from '../support/parameters.ts';

type Info = Record<string, unknown>;

interface FaultFigures {
  readonly 'postcopy-blocktime': number;
  readonly 'postcopy-vcpu-blocktime': readonly number[];
  readonly 'postcopy-latency': number;
  readonly 'postcopy-latency-dist': readonly number[];
  readonly 'postcopy-vcpu-latency': readonly number[];
  readonly 'x-faults': { readonly served: number };
}

const before = ['status', 'setup-time', 'total-time', 'expected-downtime', 'ram', 'x-senders'];
const downtime = ['downtime', 'x-downtime-us', 'x-downtime-parts'];
const after = ['status', 'setup-time', 'total-time', 'ram', 'x-senders', ...downtime];

/** What a source tells in each state, no more and no less. */
const told: Record<SourceState, readonly string[]> = {
  none: [],
  setup: ['status'],
  active: before,
  'pre-switchover': before,
  device: before,
  'device, ordered': before,
  'postcopy-device': before,
  'postcopy-active': after,
  'postcopy-paused': [...after, 'error-desc'],
  'postcopy-recover-setup': [...after, 'error-desc'],
  'postcopy-recover': after,
  completed: after,
  cancelled: ['status'],
  failed: ['status', 'error-desc'],
};

async function query(guest: GuestProcess): Promise<Info> {
  return await guest.execute<Info>('query-migrate');
}

describe.each(Object.entries(told))('a source in %s', (state, names) => {
  test('tells what QEMU tells there', async () => {
    await inScene(state as SourceState, async ({ source }) => {
      expect(Object.keys(await query(source)).toSorted()).toEqual(names.toSorted());
    });
  });
});

test('every state has its line', () => {
  expect(Object.keys(told)).toEqual(Object.keys(sourceScenes));
});

test('at the end nothing remains, and the page channels have carried their part', async () => {
  await withPair({ channels: 2, workload: 'random', parameters: fast }, async (pair) => {
    await pair.migrate();
    await pair.waitForBoth('completed');
    const ram = (await query(pair.source))['ram'] as Record<string, number>;
    expect(ram).toMatchObject({ remaining: 0, 'dirty-pages-rate': 0 });
    expect(ram['multifd-bytes']).toBeGreaterThan(0);
    expect(ram['multifd-bytes']).toBeLessThanOrEqual(ram['transferred'] ?? 0);
  });
});

/** Both vCPUs have waited for pages, then all is let through. */
async function postcopyWithFaults(pair: Pair): Promise<void> {
  await pair.untilPostcopyActive();
  let served = 0;
  while (served < 50) {
    ({ served } = (await query(pair.destination))['x-faults'] as { served: number });
  }
  await pair.untilCompleted();
}

const faulting = {
  vcpus: 2,
  workload: 'random',
  postcopy: true,
  parameters: { ...endless, 'max-postcopy-bandwidth': 1_000_000 },
} as const;

test('a destination with postcopy-blocktime tells how long its faults took', async () => {
  await withPair(faulting, async (pair) => {
    await pair.destination.setCapabilities({ 'postcopy-blocktime': true });
    await postcopyWithFaults(pair);
    const info = (await query(pair.destination)) as unknown as FaultFigures;
    const counts = info['postcopy-latency-dist'];
    expect(counts).toHaveLength(24);
    const faults = counts.reduce((sum, count) => sum + count, 0);
    expect(faults).toBe(info['x-faults'].served);
    // The mean lies where the distribution says: the n-th count is of 2^n to 2^(n+1) microseconds.
    const shortest = counts.reduce((sum, count, n) => sum + (n === 0 ? 0 : count * 2 ** n), 0);
    const longest = counts.reduce((sum, count, n) => sum + count * 2 ** (n + 1), 0);
    expect(info['postcopy-latency']).toBeGreaterThanOrEqual(Math.floor((shortest * 1000) / faults));
    expect(info['postcopy-latency']).toBeLessThanOrEqual(Math.ceil((longest * 1000) / faults));
    const vcpus = info['postcopy-vcpu-latency'];
    expect(vcpus).toHaveLength(2);
    expect(Math.min(...vcpus)).toBeLessThanOrEqual(info['postcopy-latency']);
    expect(Math.max(...vcpus)).toBeGreaterThanOrEqual(info['postcopy-latency']);
    expect(info['postcopy-vcpu-blocktime']).toHaveLength(2);
  });
});

const figures = new Set([
  'postcopy-blocktime',
  'postcopy-vcpu-blocktime',
  'postcopy-latency',
  'postcopy-latency-dist',
  'postcopy-vcpu-latency',
]);

test('without postcopy-blocktime, or without a postcopy, it tells none of that', async () => {
  await withPair(faulting, async (pair) => {
    await postcopyWithFaults(pair);
    const names = Object.keys(await query(pair.destination));
    expect(names.filter((name) => figures.has(name))).toEqual([]);
  });
  await withPair({ parameters: fast }, async (pair) => {
    await pair.destination.setCapabilities({ 'postcopy-blocktime': true });
    await pair.migrate();
    await pair.waitForBoth('completed');
    const names = Object.keys(await query(pair.destination));
    expect(names.filter((name) => figures.has(name))).toEqual([]);
  });
});
