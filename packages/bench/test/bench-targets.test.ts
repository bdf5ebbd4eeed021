import { expect, test } from 'vitest';

import { benchTargets } from '../src/targets/bench-targets.ts';
import type { DirtySyncSpec, MigrateSpec } from '../src/targets/target-spec.ts';
import { targetSpecs } from '../src/targets/target-specs.ts';

const MIB_BYTES = 2 ** 20;
const signal = AbortSignal.timeout(50_000);

/** The job of that name, of a guest that is quickly measured. */
function small(key: string, change: Partial<MigrateSpec['options']> = {}): MigrateSpec {
  const spec = targetSpecs.find((it) => it.key === key) as MigrateSpec;
  return { ...spec, options: { ...spec.options, memoryBytes: 16 * MIB_BYTES, ...change } };
}

const dirtySync: DirtySyncSpec = {
  ...(targetSpecs.find((it) => it.type === 'dirty-sync') as DirtySyncSpec),
  memoryBytes: 16 * MIB_BYTES,
};

test('jobs are measured one after the other, and one that fails is told of', async () => {
  const specs = [small('precopy-tcp', { channels: 17 }), small('precopy-unix'), dirtySync];
  const told: unknown[] = [];
  const { rows, runs } = await benchTargets(
    { specs, runs: 1 },
    {
      signal,
      onRun: ({ key }, index) => void told.push([key, index]),
      onRow: (row) => void told.push(row),
    },
  );
  expect(runs).toBe(1);
  const [failed, precopy, sync] = rows;
  expect(failed).toMatchObject({ figures: [], failed: '--channels 17: expected 1 to 16' });
  expect(told).toEqual([failed, ['precopy-unix', 0], precopy, sync]);
  expect([precopy, sync].map((row) => row?.failed)).toEqual([undefined, undefined]);
  expect(precopy?.figures.map(({ key }) => key)).toEqual(['rate', 'cpu']);
  expect(precopy?.figures[0]?.ofLimit?.median).toBeGreaterThan(0);
  // Without QEMU that part of it cannot be told, however fast it was.
  expect(precopy?.figures[0]?.targets[1]).toEqual({ text: '≥ QEMU', verdict: 'open' });
  expect(sync?.figures[0]?.ours?.median).toBeGreaterThan(0);
});

test('where QEMU fails, ours is measured alone', async () => {
  const command = process.execPath; // it tells a version, and knows nothing else of QEMU
  const specs = [small('precopy-unix')];
  const plan = { specs, runs: 1, peer: { type: 'qemu', command } } as const;
  const { rows } = await benchTargets(plan, { signal });
  expect(rows[0]?.failed).toBeUndefined();
  expect(rows[0]?.peerFailed).toMatch(/./);
  expect(rows[0]?.figures[0]).toMatchObject({ key: 'rate', ours: expect.anything() });
});

test('an interrupted benchmark is no job that failed', async () => {
  const controller = new AbortController();
  const rows: unknown[] = [];
  const hooks = { signal: controller.signal, onRow: (row: unknown) => void rows.push(row) };
  const ended = benchTargets({ specs: [dirtySync, dirtySync], runs: 1 }, hooks);
  controller.abort(new Error('enough'));
  await expect(ended).rejects.toThrow('enough');
  expect(rows).toEqual([]);
});

test('what is not possible is refused before anything starts', async () => {
  const specs = [small('precopy-unix')];
  await expect(benchTargets({ specs, runs: 0 }, { signal })).rejects.toThrow(/--runs 0/);
  const peer = { type: 'qemu', command: '/nowhere/qemu' } as const;
  await expect(benchTargets({ specs, runs: 1, peer }, { signal })).rejects.toThrow(/--qemu/);
});
