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
