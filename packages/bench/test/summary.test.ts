import { expect, test } from 'vitest';

import type { RecoveryRun, Run } from '../src/migrate/runs.ts';
import { summarize } from '../src/migrate/summary.ts';
import { someFaults, someMigration, somePump } from './some-runs.ts';

const recovery: RecoveryRun = {
  resumeMillis: { source: 2, destination: 1.5 },
  firstPageMillis: 4,
  cutAtMillis: 200,
  resumedAtMillis: 206,
};

function figure(runs: readonly Run[], key: string) {
  return summarize(runs).find((it) => it.key === key);
}

test('a migration is compared with the pump of its own run, not with the others', () => {
  const runs = [
    { migration: someMigration(1e9), pump: somePump(2e9) }, // a slow moment of the machine
    { migration: someMigration(4e9), pump: somePump(5e9) },
    { migration: someMigration(9e9), pump: somePump(10e9) },
  ];
  expect(figure(runs, 'ratio')).toMatchObject({ median: 0.8, min: 0.5, max: 0.9 });
  expect(figure(runs, 'rate')).toMatchObject({ median: 4, unit: 'GB/s' });
  expect(figure(runs, 'limit')).toMatchObject({ median: 5, unit: 'GB/s' });
});

test('a precopy has no faults and no recovery to tell of', () => {
  const keys = summarize([{ migration: someMigration(1e9), pump: somePump(2e9) }]).map(
    (it) => it.key,
  );
  expect(keys).toEqual([
    'rate',
    'limit',
    'ratio',
    'duration',
    'downtime',
    'passes',
    'cpu-source',
    'cpu-destination',
    'limit-cpu-source',
    'limit-cpu-destination',
  ]);
});

test('a postcopy tells how long the guest waited', () => {
  const runs = [{ migration: { ...someMigration(1e9), faults: someFaults }, pump: somePump(2e9) }];
  expect(figure(runs, 'fault-p90')).toMatchObject({ median: 90, unit: 'µs' });
  expect(figure(runs, 'fault-max')).toMatchObject({ median: 2100, unit: 'µs' });
  expect(figure(runs, 'blocktime')).toMatchObject({ median: 12, unit: 'ms' });
});

test('a recovery, whose bulk is held back, claims no throughput', () => {
  const runs = [{ migration: { ...someMigration(1e9), faults: someFaults, recovery } }];
  expect(figure(runs, 'rate')).toBeUndefined();
  expect(figure(runs, 'ratio')).toBeUndefined();
  expect(figure(runs, 'resume-source')).toMatchObject({ median: 2 });
  expect(figure(runs, 'resume-destination')).toMatchObject({ median: 1.5 });
  expect(figure(runs, 'first-page')).toMatchObject({ median: 4 });
});
