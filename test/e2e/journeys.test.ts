import { describe, expect, test } from 'vitest';
import { expectOwner, type Pair, withPair } from '../support/pair.ts';
import { endless, fast } from '../support/parameters.ts';
import {
  postcopyOfDestination,
  postcopyOfSource,
  precopyOfDestination,
  precopyOfSource,
} from '../support/sequences.ts';

const modes = ['precopy', 'postcopy'] as const;

describe.each(modes)('by %s', (mode) => {
  const postcopy = mode === 'postcopy';

  /** One hop, told as it should be. */
  async function hop(pair: Pair): Promise<void> {
    const { source, destination } = pair;
    const told = source.statuses.length;
    await (postcopy ? pair.migrateByPostcopy() : pair.migrate());
    await pair.waitForBoth('completed');
    expect(source.statuses.slice(told)).toEqual(postcopy ? postcopyOfSource : precopyOfSource);
    expect(destination.statuses).toEqual(postcopy ? postcopyOfDestination : precopyOfDestination);
  }

  test('a paused guest arrives paused, and runs when it is told to', async () => {
    const source = { extraArgs: ['--paused'] };
    await withPair({ source, postcopy, parameters: fast }, async (pair) => {
      await hop(pair);
      await expectOwner(pair, pair.destination, { paused: true });
      await pair.destination.execute('cont');
      await pair.destination.waitForEvent('RESUME');
      await expectOwner(pair, pair.destination);
    });
  });

  test('a guest that was stopped on the way arrives stopped', async () => {
    await withPair({ workload: 'random', postcopy, parameters: endless }, async (pair) => {
      await pair.migrate();
      await pair.source.waitForPass(2);
      await pair.source.execute('stop');
      if (postcopy) await pair.startPostcopy();
      await pair.waitForBoth('completed');
      await expectOwner(pair, pair.destination, { paused: true });
    });
  });

  test('a guest goes from A to B to C', async () => {
    await withPair({ workload: 'random', postcopy, parameters: fast }, async (pair) => {
      await hop(pair);
      await pair.turnDestinationIntoSource('c');
      await hop(pair);
      await expectOwner(pair, pair.destination);
    });
  });

  test('a guest goes to and fro, and no byte is lost on the way', async () => {
    await withPair({ workload: 'sweep', postcopy, parameters: fast }, async (pair) => {
      await hop(pair);
      for (const name of ['home', 'away']) {
        const left = pair.source;
        await pair.turnDestinationIntoSource(name);
        await left.quit();
        await hop(pair);
      }
      await expectOwner(pair, pair.destination);
    });
  });

  test('4 GiB that were never touched cross in no time', { timeout: 120_000 }, async () => {
    const options = { memory: '4G', workload: 'idle', fill: 0, postcopy } as const;
    await withPair({ ...options, parameters: fast }, async (pair) => {
      const started = performance.now();
      await hop(pair);
      expect(performance.now() - started).toBeLessThan(5000); // the benchmark knows how long it takes
      await expectOwner(pair, pair.destination);
    });
  });
});
