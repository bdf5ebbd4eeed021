import { expect, test } from 'vitest';

import { benchScale, type ScaleRow } from '../src/scale/bench-scale.ts';
import { scaleLines } from '../src/scale/scale-lines.ts';

const options = { transport: 'unix', channels: 1, runs: 1 } as const;
const signal = AbortSignal.timeout(50_000);

test('the cost of a gigabyte is measured', async () => {
  const told: ScaleRow[] = [];
  const onRow = (row: ScaleRow): void => void told.push(row);
  const { rows } = await benchScale({ ...options, sizes: [2 ** 25] }, { signal, onRow });
  expect(told).toEqual(rows);
  expect(rows).toHaveLength(1);
  const [{ memoryBytes, nonZeroBytes, ...spreads }] = rows as [ScaleRow];
  expect([memoryBytes, nonZeroBytes]).toEqual([2 ** 25, 2 ** 25]);
  for (const { median } of Object.values(spreads)) {
    expect(median).toBeGreaterThan(0);
    expect(median).toBeLessThan(Infinity);
  }
});

test.each([[[]], [[2 ** 24]], [[2 ** 26 + 4096]], [[2 ** 50]]])(
  'sizes of %o are refused before anything starts',
  async (sizes) => {
    await expect(benchScale({ ...options, sizes }, { signal })).rejects.toThrow(RangeError);
  },
);

test('a row tells how much of the guest was there to be sent', () => {
  const same = (median: number) => ({ median, min: median, max: median });
  const row: ScaleRow = {
    memoryBytes: 2 ** 34,
    nonZeroBytes: 10 * 2 ** 30,
    millisPerGib: { median: 250, min: 240, max: 260.4 },
    cpuSecondsPerGib: same(0.52),
    ratio: same(0.95),
    untouchedMillis: same(12.3),
    idleSyncMillis: same(8.5),
    resumeMillis: same(2),
  };
  const all = { ...options, sizes: [2 ** 34] };
  const lines = scaleLines({ machine: 'a machine', options: all, rows: [row] });
  expect(lines.at(-1)?.trim().split(/ {2,}/)).toEqual([
    '16',
    '10',
    '250 (240–260)',
    '0.52',
    '0.95',
    '12.3',
    '8.50',
    '2',
  ]);
});
