import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { expectOwner, withPair } from '../support/pair.ts';
import { fast } from '../support/parameters.ts';

/** Three bitmaps of 4 GiB are 384 KiB; the rest is the heaps of the threads of a migration. */
const CONTROL_MEMORY_MIB_MAX = 96;

/** Private memory, in MiB: with RAM in a memfd, whatever is not the guest's. */
async function privateMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^RssAnon:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
}

describe.each(['precopy', 'postcopy'] as const)('by %s', (mode) => {
  test('a guest of 4 GiB is moved whole, and control takes no more memory for it', async () => {
    const postcopy = mode === 'postcopy';
    const guest = { memory: '4G', backing: 'memfd', workload: 'random', rate: 2000, fill: 0.15 };
    await withPair({ ...guest, workload: 'random', postcopy, parameters: fast }, async (pair) => {
      const { source, destination } = pair;
      const before = await Promise.all([privateMiB(source.pid), privateMiB(destination.pid)]);
      await (postcopy ? pair.migrateByPostcopy() : pair.migrate());
      await Promise.all([
        source.waitForStatus('completed', 90_000),
        destination.waitForStatus('completed', 90_000),
      ]);
      const after = await Promise.all([privateMiB(source.pid), privateMiB(destination.pid)]);
      for (const [i, mebibytes] of after.entries()) {
        expect(mebibytes - (before[i] as number)).toBeLessThan(CONTROL_MEMORY_MIB_MAX);
      }
      await expectOwner(pair, destination);
    });
  }, 180_000);
});
