import { downtimePartNames, type SourceInfo } from '@godwit/core';
import { expect, test } from 'vitest';
import { expectOwner, withPair } from '../support/pair.ts';
import { fast } from '../support/parameters.ts';

/** The parts by name, and that they add up. */
function expectParts(info: SourceInfo): void {
  const parts = info['x-downtime-parts'];
  expect(Object.keys(parts ?? {})).toEqual([...downtimePartNames]);
  const micros = Object.values(parts ?? {});
  expect(Math.min(...micros)).toBeGreaterThanOrEqual(0);
  expect(micros.reduce((sum, part) => sum + part, 0)).toBe(info['x-downtime-us']);
}

test('expected-downtime begins as the limit, then is what is dirty over the bandwidth', async () => {
  // Each pass of 20 MiB takes four seconds, in which the guest writes nearly all of it.
  const parameters = { 'max-bandwidth': 5_000_000, 'downtime-limit': 120 };
  await withPair({ workload: 'random', parameters }, async (pair) => {
    const { source } = pair;
    const expected = async (): Promise<number> =>
      (await source.execute<SourceInfo>('query-migrate'))['expected-downtime'] ?? NaN;
    await source.execute('migrate', { uri: pair.uri });
    await source.waitForStatus('active');
    expect(await expected()).toBe(120);
    await source.waitForPass(2);
    const byMeasure = await expected();
    expect(byMeasure).toBeGreaterThan(500);
    expect(byMeasure).toBeLessThan(10_000);
    // Ten times as much may be counted on, from the next estimate on, which does not wait for the pass.
    await source.setParameters({ 'avail-switchover-bandwidth': 50_000_000 });
    await source.waitForPass(3);
    expect(await expected()).toBeLessThan(500); // 20 MiB at most
    await source.setParameters({ 'downtime-limit': 2000 }); // 100 MB: it fits as it is
    await source.waitForStatus('completed');
    const info = await source.execute<SourceInfo>('query-migrate');
    expect(info).not.toHaveProperty('expected-downtime');
    await pair.destination.waitForStatus('completed');
    await expectOwner(pair, pair.destination);
  });
});

for (const postcopy of [false, true]) {
  const mode = postcopy ? 'postcopy' : 'precopy';
  test(`the source of a ${mode} says by name what its downtime consisted of`, async () => {
    await withPair({ workload: 'random', postcopy, parameters: fast }, async (pair) => {
      const { source } = pair;
      await (postcopy ? pair.migrateByPostcopy() : pair.migrate());
      await pair.waitForBoth('completed');
      expectParts(await source.execute<SourceInfo>('query-migrate'));
      await expectOwner(pair, pair.destination);
    });
  });
}
