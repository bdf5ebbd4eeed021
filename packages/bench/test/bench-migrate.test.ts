import { expect, test } from 'vitest';

import { benchMigrate } from '../src/migrate/bench-migrate.ts';
import { benchModes, defaultGuest } from '../src/migrate/options.ts';
import { someOptions } from './some-runs.ts';

const signal = AbortSignal.timeout(50_000);

test.each(benchModes)('%s between two processes is measured', async (mode) => {
  const small = { mode, memoryBytes: 32 * 2 ** 20, runs: 1, ...defaultGuest(mode) };
  const transport = mode === 'postcopy' ? 'tcp' : 'unix';
  const { runs, figures } = await benchMigrate({ ...someOptions, ...small, transport }, { signal });
  expect(runs).toHaveLength(1);
  const [run] = runs;
  expect(run?.migration.samples.at(-1)?.bytes).toBe(small.memoryBytes);
  expect(figures.map(({ key }) => key)).toContain(mode === 'recovery' ? 'first-page' : 'ratio');
  expect(figures.every(({ median }) => Number.isFinite(median) && median >= 0)).toBe(true);
  expect(run?.migration.stalls === undefined).toBe(mode === 'precopy');
  const recovery = run?.migration.recovery;
  expect(recovery === undefined).toBe(mode !== 'recovery');
  // Nothing comes over a link that does not stand yet.
  if (recovery !== undefined) {
    expect(recovery.firstPageMillis).toBeGreaterThan(recovery.resumeMillis.destination);
  }
});

test('an interrupted benchmark says why it ended, and leaves no process behind', async () => {
  const controller = new AbortController();
  const options = { ...someOptions, memoryBytes: 16 * 2 ** 20, runs: 1000 };
  const exitsBefore = process.listenerCount('exit');
  const onRun = (): void => controller.abort(new Error('enough'));
  const ended = benchMigrate(options, { signal: controller.signal, onRun });
  await expect(ended).rejects.toThrow('enough');
  expect(process.listenerCount('exit')).toBe(exitsBefore); // each process of ours holds one
});
