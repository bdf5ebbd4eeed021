import { describe, expect, test } from 'vitest';
import { transports } from '../support/addresses.ts';
import type { GuestEvent } from '../support/guest-process.ts';
import { expectOwner, type Pair, withPair } from '../support/pair.ts';
import { converging, endless } from '../support/parameters.ts';
import { postcopyOfSource, precopyOfSource } from '../support/sequences.ts';

const automatic = { 'x-auto-postcopy': true };
/** Writes several times faster than `endless` sends. */
const writing = { workload: 'random', postcopy: true, parameters: endless } as const;

function stallsOf(pair: Pair): GuestEvent[] {
  return pair.source.events.entries.filter(({ name }) => name === 'X_MIGRATION_STALL');
}

describe.each(transports)('over %s', (transport) => {
  test.each([undefined, 2])(
    'where passes stop shrinking postcopy begins by itself (page channels: %s)',
    async (channels) => {
      const more = channels === undefined ? {} : { channels };
      await withPair({ ...writing, ...more, transport }, async (pair) => {
        await pair.source.setCapabilities(automatic);
        await pair.migrate();
        await pair.waitForBoth('completed');
        expect(pair.source.statuses).toEqual(postcopyOfSource);
        expect(stallsOf(pair)).toHaveLength(1);
        expect(Number(stallsOf(pair)[0]?.data?.['remaining'])).toBeGreaterThan(1_000_000);
        await expectOwner(pair, pair.destination);
      });
    },
  );
});

test('without it the same guest keeps precopy going', async () => {
  await withPair(writing, async (pair) => {
    await pair.migrate();
    await pair.source.waitForPass(8);
    expect(pair.source.statuses).toEqual(['setup', 'active']);
    await pair.source.setParameters(converging);
    await pair.waitForBoth('completed');
    expect(stallsOf(pair)).toEqual([]);
    expect(pair.source.statuses).toEqual(precopyOfSource);
    await expectOwner(pair, pair.destination);
  });
});

test('a guest that converges completes as precopy', async () => {
  const parameters = { 'max-bandwidth': 0, 'downtime-limit': 2000 };
  await withPair({ workload: 'random', postcopy: true, rate: 500, parameters }, async (pair) => {
    await pair.source.setCapabilities(automatic);
    await pair.migrate();
    await pair.waitForBoth('completed');
    expect(pair.source.statuses).toEqual(precopyOfSource);
    expect(stallsOf(pair)).toEqual([]);
    await expectOwner(pair, pair.destination);
  });
});

test('it waits until auto-converge can do no more', async () => {
  const parameters = { ...endless, 'cpu-throttle-initial': 30, 'max-cpu-throttle': 30 };
  await withPair({ ...writing, parameters }, async (pair) => {
    await pair.source.setCapabilities({ ...automatic, 'auto-converge': true });
    await pair.migrate();
    await pair.source.waitForEvent('X_MIGRATION_STALL', 30_000);
    // Two periods of a second each come before a throttle; passes take a quarter of one.
    const { entries } = pair.source.events;
    expect(entries.filter(({ name }) => name === 'MIGRATION_PASS').length).toBeGreaterThan(6);
    await pair.waitForBoth('completed');
    await expectOwner(pair, pair.destination);
  });
});

test('it is refused without postcopy-ram', async () => {
  await withPair({}, async (pair) => {
    await expect(pair.source.setCapabilities(automatic)).rejects.toThrow(
      "requires capability 'post",
    );
    await expectOwner(pair, pair.source);
  });
});
