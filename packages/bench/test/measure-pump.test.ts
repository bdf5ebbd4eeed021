import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, onTestFinished, test } from 'vitest';

import { measurePump } from '../src/migrate/measure-pump.ts';
import type { DestinationCommands, SourceCommands } from '../src/side/side-api.ts';
import { SideProcess } from '../src/side/side-process.ts';
import { someOptions } from './some-runs.ts';

const MEMORY_BYTES = 17 * 2 ** 20 + 4096; // shares and chunks of unequal size
const limits = { limitMillis: 20_000, signal: AbortSignal.timeout(50_000) };

test('a pump of any kind moves every byte of the guest, one pump after the other', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'godwit-test-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  await using source = new SideProcess<SourceCommands>('source', limits);
  await using destination = new SideProcess<DestinationCommands>('destination', limits);
  const address = () => ({ type: 'unix', path: join(directory, 'pump') }) as const;
  await source.call('create', { memoryBytes: MEMORY_BYTES, workload: 'idle', rate: 0 });
  const names: string[] = [];
  for (const mode of ['precopy', 'postcopy'] as const) {
    for (const channels of [1, 3]) {
      const options = { ...someOptions, mode, channels, memoryBytes: MEMORY_BYTES };
      const pump = await measurePump({ options, source, destination, address });
      names.push(pump.name);
      expect(pump.bytesPerSecond).toBeGreaterThan(0);
      expect(pump.bytesPerSecond).toBeLessThan(Infinity);
    }
  }
  expect(names).toEqual([
    'raw pump',
    '3 raw pumps',
    'raw pump, placed by UFFDIO_COPY',
    '3 raw pumps, placed by UFFDIO_COPY',
  ]);
});
