import { describe, expect, test } from 'vitest';
import { transports } from '../support/addresses.ts';
import type { Workload } from '../support/guest-options.ts';
import { expectOwner, withPair } from '../support/pair.ts';
import { converging, endless, fast } from '../support/parameters.ts';
import { precopyOfDestination, precopyOfSource } from '../support/sequences.ts';

const workloads: readonly Workload[] = ['sweep', 'random', 'zipf', 'idle'];

describe.each(transports)('precopy over %s', (transport) => {
  test.each(workloads)('a %s guest arrives whole, and runs on one side only', async (workload) => {
    await withPair({ transport, workload, parameters: fast }, async (pair) => {
      await pair.migrate();
      await pair.waitForBoth('completed');
      expect(pair.source.statuses).toEqual(precopyOfSource);
      expect(pair.destination.statuses).toEqual(precopyOfDestination);
      await expectOwner(pair, pair.destination);
    });
  });

  test('a guest that writes all the time is sent pass after pass until the rest fits', async () => {
    const parameters = endless;
    await withPair({ transport, workload: 'random', parameters }, async (pair) => {
      await pair.migrate();
      await pair.source.waitForPass(5);
      expect((await pair.source.runStatus()).running).toBe(true);
      expect(pair.source.statuses).toEqual(['setup', 'active']);
      await pair.source.setParameters(converging);
      await pair.waitForBoth('completed');
      expect(pair.source.statuses).toEqual(precopyOfSource);
      await expectOwner(pair, pair.destination);
    });
  });
});

test('a guest whose memory is a memfd arrives whole', async () => {
  const options = { workload: 'random', backing: 'memfd', parameters: fast } as const;
  await withPair(options, async (pair) => {
    await pair.migrate();
    await pair.waitForBoth('completed');
    await expectOwner(pair, pair.destination);
  });
});

test('a guest with two vCPUs arrives with the steps of both', async () => {
  await withPair({ workload: 'zipf', vcpus: 2, parameters: fast }, async (pair) => {
    await pair.migrate();
    await pair.waitForBoth('completed');
    await expectOwner(pair, pair.destination);
    const { steps } = await pair.destination.execute<{ steps: number[] }>('x-guest-verify');
    expect(steps).toHaveLength(2);
    expect(Math.min(...steps)).toBeGreaterThan(0);
  });
});

test('pages that were never written arrive as zero, without being sent', async () => {
  const options = { workload: 'sweep', fill: 0, rate: 1000, parameters: fast } as const;
  await withPair(options, async (pair) => {
    await pair.migrate();
    await pair.waitForBoth('completed');
    const { ram } = await pair.source.execute<{ ram: { transferred: number } }>('query-migrate');
    expect(ram.transferred).toBeLessThan(16 * 1024 * 1024);
    await expectOwner(pair, pair.destination);
  });
});
