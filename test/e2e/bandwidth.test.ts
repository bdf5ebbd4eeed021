import { setTimeout as after } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { expectOwner, type Pair, withPair } from '../support/pair.ts';
import { converging } from '../support/parameters.ts';

/** Of the limit, over a second. */
const TOLERANCE = 0.05;
const WINDOWS = 3;

/** Bytes per second: a busy machine answers late, and what is counted is of some time in between. */
interface Rate {
  readonly least: number;
  readonly likely: number;
}

/** What left the source, second by second. */
async function measure(pair: Pair): Promise<Rate[]> {
  const rates: Rate[] = [];
  let before = await sample(pair);
  while (rates.length < WINDOWS) {
    await after(1000); // the window of the promise, not a wait for something
    const now = await sample(pair);
    const bytes = now.bytes - before.bytes;
    const millis = (now.from + now.until - before.from - before.until) / 2;
    const least = (bytes / (now.until - before.from)) * 1000;
    rates.push({ least, likely: (bytes / millis) * 1000 });
    before = now;
  }
  return rates;
}

async function sample(pair: Pair): Promise<{ bytes: number; from: number; until: number }> {
  interface Info {
    ram: { transferred: number };
  }
  const from = performance.now();
  const { ram } = await pair.source.execute<Info>('query-migrate');
  return { bytes: ram.transferred, from, until: performance.now() };
}

/** Never above the limit; and near it, unless the machine is busy with something else most of the time. */
function expectNear(rates: readonly Rate[], limit: number): void {
  expect(Math.max(...rates.map(({ least }) => least))).toBeLessThanOrEqual(limit * (1 + TOLERANCE));
  const likely = rates.map((rate) => rate.likely).toSorted((a, b) => a - b);
  const median = likely[Math.floor(likely.length / 2)] as number;
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
