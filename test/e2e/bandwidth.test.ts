import { setTimeout as after } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { expectOwner, type Pair, withPair } from '../support/pair.ts';
import { converging } from '../support/parameters.ts';

/** Of the limit, over a second. */
const TOLERANCE = 0.05;
const WINDOWS = 3;

/** Bytes per second that left the source, second by second. */
async function measure(pair: Pair): Promise<number[]> {
  const rates: number[] = [];
  let before = await sample(pair);
  while (rates.length < WINDOWS) {
    await after(1000); // the window of the promise, not a wait for something
    const now = await sample(pair);
    rates.push(((now.bytes - before.bytes) / (now.millis - before.millis)) * 1000);
    before = now;
  }
  return rates;
}

async function sample(pair: Pair): Promise<{ bytes: number; millis: number }> {
  interface Info {
    ram: { transferred: number };
  }
  const asked = performance.now();
  const { ram } = await pair.source.execute<Info>('query-migrate');
  return { bytes: ram.transferred, millis: (asked + performance.now()) / 2 };
}

/** Never above the limit; and near it, unless the machine is busy with something else most of the time. */
function expectNear(rates: readonly number[], limit: number): void {
  expect(Math.max(...rates)).toBeLessThanOrEqual(limit * (1 + TOLERANCE));
  const median = rates.toSorted((a, b) => a - b)[Math.floor(rates.length / 2)] as number;
  expect(median).toBeGreaterThanOrEqual(limit * (1 - TOLERANCE));
}

describe.each([undefined, 3])('page channels: %s', (channels) => {
  const options = channels === undefined ? {} : { channels };

  test.each([
    [5_000_000, '64M'],
    [60_000_000, '400M'],
  ])('precopy keeps to a max-bandwidth of %i bytes/s', async (limit, memory) => {
    const parameters = { 'max-bandwidth': limit };
    const guest = { workload: 'idle', memory, parameters } as const; // more than the windows take
    await withPair({ ...options, ...guest }, async (pair) => {
      await pair.migrate();
      await pair.source.waitForStatus('active');
      expectNear(await measure(pair), limit);
      await pair.source.setParameters(converging);
      await pair.waitForBoth('completed');
      await expectOwner(pair, pair.destination);
    });
  });

  test('the bulk of a postcopy keeps to max-postcopy-bandwidth', async () => {
    const limit = 20_000_000;
    const parameters = { 'max-bandwidth': 1_000_000, 'max-postcopy-bandwidth': limit };
    const guest = { workload: 'idle', memory: '256M', postcopy: true, parameters } as const;
    await withPair({ ...options, ...guest }, async (pair) => {
      await pair.untilPostcopyActive();
      expectNear(await measure(pair), limit);
      await pair.untilCompleted();
      await expectOwner(pair, pair.destination);
    });
  });
});
