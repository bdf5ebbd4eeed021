import { expect, test } from 'vitest';

import type { Run } from '../src/migrate/runs.ts';
import { peerVariants } from '../src/peer/variants.ts';
import type { MigrateSpec } from '../src/targets/target-spec.ts';
import { chooseTargets, targetSpecs } from '../src/targets/target-specs.ts';
import { someMigration, somePump } from './some-runs.ts';

const figureNames = targetSpecs.flatMap(({ key, figures }) =>
  figures.map((figure) => `${key} ${figure.key}`),
);

test('every speed we are after has a job, and every name is there once', () => {
  expect(figureNames).toEqual([
    'precopy-unix rate',
    'precopy-unix cpu',
    'precopy-tcp rate',
    'precopy-tcp cpu',
    'precopy-unix-4 rate',
    'precopy-unix-4 cpu',
    'precopy-tcp-4 rate',
    'precopy-tcp-4 cpu',
    'fresh-unix rate',
    'fresh-unix cpu',
    'fresh-unix-2 rate',
    'fresh-unix-2 cpu',
    'untouched duration',
    'untouched cpu',
    'postcopy duration',
    'postcopy stall-p50',
    'postcopy stall-p99',
    'postcopy downtime',
    'postcopy-trickle stall-p50',
    'postcopy-trickle stall-p99',
    'precopy-writes downtime',
    'resume-unix resume',
    'resume-unix first-page',
    'resume-tcp resume',
    'resume-tcp first-page',
    'dirty-sync sync',
  ]);
  const keys = targetSpecs.map(({ key }) => key);
  expect(new Set(keys).size).toBe(keys.length);
  expect(new Set(figureNames).size).toBe(figureNames.length);
});

test('jobs are chosen by name, in the order of the table', () => {
  const chosen = chooseTargets(['dirty-sync', 'precopy-tcp']);
  expect(chosen.map(({ key }) => key)).toEqual(['precopy-tcp', 'dirty-sync']);
  expect(() => chooseTargets(['precopy-tcp', 'precopi'])).toThrow(/precopi: .* precopy-unix, /);
  expect(() => chooseTargets([''])).toThrow(RangeError);
});

function sidesOf(key: string, figureKey: string, run: Run) {
  const spec = targetSpecs.find((it) => it.key === key) as MigrateSpec;
  return spec.figures.find((it) => it.key === figureKey)?.of(run);
}

const cpuSecondsPerGib = { source: 0.25, destination: 0.5 };

test('a precopy has the pump and QEMU of its own run beside it', () => {
  const [variant] = peerVariants({ mode: 'precopy', channels: 1 });
  if (variant === undefined) throw new Error('no variant');
  const theirs = { millis: 500, bytesPerSecond: 2e9, downtimeMillis: 7, passes: 3 };
  const peers = [{ variant, cpuSecondsPerGib, ...theirs }];
  const run = { migration: someMigration(3e9), pump: somePump(4e9), peers };
  expect(sidesOf('precopy-unix', 'rate', run)).toEqual({ ours: 3, limit: 4, peer: 2 });
  const cpu = sidesOf('precopy-unix', 'cpu', run);
  expect(cpu?.ours).toBeCloseTo(0.7);
  expect(cpu?.limit).toBeCloseTo(0.3);
  expect(cpu?.peer).toBeCloseTo(0.75);
});

test('the stalls of a postcopy stand beside those of QEMU with its urgent channel', () => {
  const rest = { faults: 9, p90: 190, p99: 199, max: 200, distribution: [] };
  const theirs = { millis: 1000, bytesPerSecond: 1e9, downtimeMillis: 7, passes: 2 };
  const [plain, preempt] = peerVariants({ mode: 'postcopy', channels: 1 });
  if (plain === undefined || preempt === undefined) throw new Error('no variants');
  const peers = [
    { variant: plain, cpuSecondsPerGib, ...theirs, stalls: { ...rest, p50: 600 } },
    { variant: preempt, cpuSecondsPerGib, ...theirs, stalls: { ...rest, p50: 60 } },
  ];
  const migration = { ...someMigration(1e9), stalls: { ...rest, p50: 40 } };
  expect(sidesOf('postcopy', 'stall-p50', { migration, peers })).toEqual({ ours: 40, peer: 60 });
  const none = { ...migration, stalls: { ...rest, faults: 0, p50: 0 } };
  expect(sidesOf('postcopy', 'stall-p50', { migration: none, peers })).toBeUndefined();
});

test('a link is resumed when the slower side says so', () => {
  const resumeMillis = { source: 1, destination: 2.5 };
  const times = { resumeMillis, firstPageMillis: 4, cutAtMillis: 500, resumedAtMillis: 504 };
  const run = { migration: { ...someMigration(1e9), recovery: times } };
  expect(sidesOf('resume-tcp', 'resume', run)).toMatchObject({ ours: 2.5 });
  expect(sidesOf('resume-tcp', 'first-page', run)).toEqual({ ours: 4 });
});
