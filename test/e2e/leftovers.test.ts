import { describe, expect, test } from 'vitest';
import { refusedAddress } from '../support/addresses.ts';
import { expectOwner, expectRunning, withPair } from '../support/pair.ts';
import { endless, fast } from '../support/parameters.ts';

const modes = ['precopy', 'postcopy'] as const;

describe.each(modes)('after %s', (mode) => {
  const postcopy = mode === 'postcopy';

  test('both sides hold no more threads, descriptors and mappings than before', async () => {
    await withPair({ workload: 'random', postcopy, parameters: fast }, async (pair) => {
      const { source, destination } = pair;
      const before = [await source.resources(), await destination.resources()] as const;
      await (postcopy ? pair.migrateByPostcopy() : pair.migrate());
      await pair.waitForBoth('completed');
      await source.returnsTo(before[0]);
      await destination.returnsTo(before[1]);
      await expectOwner(pair, destination);
    });
  });
});

test('five cancelled migrations leave no more behind than one', async () => {
  const parameters = endless;
  await withPair({ workload: 'random', parameters }, async (pair) => {
    const { source } = pair;
    let before = await source.resources();
    for (let attempt = 0; attempt < 5; attempt += 1) {
      if (attempt > 0) await pair.startDestination(`destination${attempt}`);
      await pair.migrate();
      await source.waitForPass(2);
      await source.execute('migrate_cancel');
      await source.waitForStatus('cancelled');
      await pair.expectFailed(pair.destination);
      if (attempt === 0) before = await source.resources();
    }
    await source.returnsTo(before, 4 * 2);
    expect(source.statuses.filter((status) => status === 'cancelled')).toHaveLength(5);
    await expectOwner(pair, source);
  });
});

test('twenty migrations that fail at once leave nothing behind, and the guest unharmed', async () => {
  await withPair({ parameters: fast }, async (pair) => {
    const { source } = pair;
    const nobody = await refusedAddress('unix', pair.directory.path);
    const before = await source.resources();
    for (let attempt = 0; attempt < 20; attempt += 1) {
      await pair.migrate(nobody);
      await source.waitForStatus('failed');
    }
    await source.returnsTo(before, 20 * 2);
    expect(source.statuses).toEqual(Array.from({ length: 20 }, () => ['setup', 'failed']).flat());
    await expectRunning(pair, source);
    await pair.migrate();
    await pair.waitForBoth('completed');
    await expectOwner(pair, pair.destination);
  });
});
