import { expect, test } from 'vitest';

import { migrationChart } from '../src/chart/migration-chart.ts';
import type { RecoveryRun, Run } from '../src/migrate/runs.ts';
import { summarize } from '../src/migrate/summary.ts';
import { someFaults, someMigration, someOptions, somePump } from './some-runs.ts';

const recovery: RecoveryRun = {
  resumeMillis: { source: 2, destination: 1.5 },
  firstPageMillis: 4,
  cutAtMillis: 200,
  resumedAtMillis: 206,
};

function chartOf(runs: readonly Run[]): string {
  return migrationChart({ machine: 'A & B', options: someOptions, runs, figures: summarize(runs) });
}

/** Every tag that is opened is closed, in order. */
function isWellFormed(svg: string): boolean {
  const open: string[] = [];
  for (const [, end, name = '', empty] of svg.matchAll(/<(\/?)([a-z]+)[^<>]*?(\/?)>/g)) {
    if (end === '/') {
      if (open.pop() !== name) return false;
    } else if (empty === '') open.push(name);
  }
  return open.length === 0;
}

test('a precopy is drawn beside its limit, without room for faults it did not have', () => {
  const svg = chartOf(
    [2e9, 1e9, 3e9].map((rate) => ({ migration: someMigration(rate), pump: somePump(rate * 2) })),
  );
  expect(isWellFormed(svg)).toBe(true);
  expect(svg).toContain('raw pump, median 4.00 GB/s');
  expect(svg).toContain('A &amp; B');
  expect(svg.match(/class="curve"/g)).toHaveLength(1);
  expect(svg.match(/class="other"/g)).toHaveLength(2);
  expect(svg).not.toContain('class="bar"');
  expect(svg).not.toContain('NaN');
});

test('faults of all runs are counted together, a bar for each octave that has any', () => {
  const migration = { ...someMigration(1e9), faults: someFaults };
  const svg = chartOf([
    { migration, pump: somePump(2e9) },
    { migration, pump: somePump(2e9) },
  ]);
  expect(isWellFormed(svg)).toBe(true);
  expect(svg.match(/class="bar"/g)).toHaveLength(4);
  for (const count of [200, 20, 12, 2]) expect(svg).toContain(`>${count}</text>`);
  expect(svg).toContain('p50 38 µs, p90 90 µs, p99 900 µs, max 2.1 ms');
});

test('a recovery shows when the link was cut', () => {
  const svg = chartOf([{ migration: { ...someMigration(1e9), faults: someFaults, recovery } }]);
  expect(isWellFormed(svg)).toBe(true);
  expect(svg).toContain('>cut</text>');
  expect(svg).toContain('>recovered</text>');
  expect(svg).not.toContain('raw pump');
});

test('a guest that never waited is no reason to fail', () => {
  const faults = { ...someFaults, distribution: [] };
  const svg = chartOf([{ migration: { ...someMigration(1e9), faults }, pump: somePump(1e9) }]);
  expect(isWellFormed(svg)).toBe(true);
  expect(svg).toContain('never waited');
  expect(svg).not.toContain('NaN');
});

test('the drawing has its own background, light and dark', () => {
  const svg = chartOf([{ migration: someMigration(1e9), pump: somePump(1e9) }]);
  expect(svg).toMatch(/<rect class="surface"/);
  expect(svg).toMatch(/prefers-color-scheme: dark/);
});
