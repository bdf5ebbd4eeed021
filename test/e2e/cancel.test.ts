import { describe, expect, test } from 'vitest';
import { transports } from '../support/addresses.ts';
import { silentListener } from '../support/bad-listeners.ts';
import { expectOwner, expectRunning, type Pair, withPair } from '../support/pair.ts';
import { converging, endless, fast } from '../support/parameters.ts';
import { precopyOfSource } from '../support/sequences.ts';

/** The guest is where it was, and leaves for a new destination as if nothing had been. */
async function expectToLeaveForAnother(pair: Pair): Promise<void> {
  await expectRunning(pair, pair.source);
  const told = pair.source.statuses.length;
  const guest = await pair.startDestination('another');
  await pair.source.setParameters(converging);
  await pair.migrate();
  await pair.source.waitForStatus('completed');
  await guest.waitForStatus('completed');
  expect(pair.source.statuses.slice(told)).toEqual(precopyOfSource);
  await expectOwner(pair, guest);
}

async function expectCancelled(pair: Pair): Promise<void> {
  await pair.source.execute('migrate_cancel');
  await pair.source.waitForStatus('cancelled');
  expect(pair.source.statuses.slice(-2)).toEqual(['cancelling', 'cancelled']);
}

describe.each(transports)('over %s', (transport) => {
  test('a cancel in setup, nobody answering, leaves the guest where it is', async () => {
    await withPair({ transport, parameters: endless }, async (pair) => {
      await using silent = await silentListener(transport, pair.directory.path);
      await pair.migrate(silent.uri);
      await pair.source.waitForStatus('setup');
      await expectCancelled(pair);
      expect(pair.source.statuses).toEqual(['setup', 'cancelling', 'cancelled']);
      await expectRunning(pair, pair.source);
      await pair.source.setParameters(converging);
      await pair.migrate(); // the destination has not even noticed
      await pair.waitForBoth('completed');
      await expectOwner(pair, pair.destination);
    });
  });

  test('a cancel in setup, half agreed, lets the destination go', async () => {
    await withPair({ transport, parameters: endless }, async (pair) => {
      const link = await pair.openLink();
      const held = link.hold({ frame: 'started' });
      await pair.migrate(link.uri);
      await held.reached;
      await expectCancelled(pair);
      await pair.expectFailed(pair.destination);
      await expectToLeaveForAnother(pair);
    });
  });

  test('a cancel while pass follows pass gives up at once', async () => {
    await withPair({ transport, workload: 'random', parameters: endless }, async (pair) => {
      await pair.migrate();
      await pair.source.waitForPass(3);
      await expectCancelled(pair);
      await pair.expectFailed(pair.destination);
      await expectToLeaveForAnother(pair);
    });
  });

  test('a cancel of a transfer that crawls does not wait for it', async () => {
    const parameters = { 'max-bandwidth': 100_000 };
    await withPair({ transport, workload: 'random', parameters }, async (pair) => {
      await pair.migrate();
      await pair.waitForBoth('active');
      await expectCancelled(pair);
      await pair.expectFailed(pair.destination);
      await pair.source.setParameters(fast);
      await expectToLeaveForAnother(pair);
    });
  });

  test('a cancel after the guest was stopped runs it again', async () => {
    await withPair({ transport, parameters: fast }, async (pair) => {
      const link = await pair.openLink();
      const held = link.hold({ frame: 'loaded' });
      await pair.migrate(link.uri);
      await held.reached;
      expect(pair.source.statuses).toEqual(['setup', 'active', 'device']);
      await expectCancelled(pair);
      await pair.expectFailed(pair.destination);
      await expectToLeaveForAnother(pair);
    });
  });

  test('a cancel in postcopy before the order to run takes the guest back', async () => {
    await withPair({ transport, postcopy: true, parameters: endless }, async (pair) => {
      const link = await pair.openLink();
      const held = link.hold({ frame: 'loaded' });
      await pair.migrateByPostcopy(link.uri);
      await held.reached;
      expect(pair.source.statuses).toEqual(['setup', 'active', 'device', 'postcopy-device']);
      await expectCancelled(pair);
      await pair.expectFailed(pair.destination);
      await expectToLeaveForAnother(pair);
    });
  });

  test('a cancel after the order to run is refused and harms nothing', async () => {
    const parameters = { ...endless, 'max-postcopy-bandwidth': 100_000 };
    await withPair({ transport, postcopy: true, rate: 1000, parameters }, async (pair) => {
      await pair.untilPostcopyActive();
      await expect(pair.source.execute('migrate_cancel')).rejects.toThrow(/postcopy-active/);
      await pair.source.setParameters({ 'max-postcopy-bandwidth': 0 });
      await pair.waitForBoth('completed');
      await expectOwner(pair, pair.destination);
    });
  });
});

test('a second cancel is no second event', async () => {
  await withPair({ workload: 'random', parameters: endless }, async (pair) => {
    await pair.migrate();
    await pair.source.waitForPass(2);
    await Promise.all([
      pair.source.execute('migrate_cancel'),
      pair.source.execute('migrate_cancel'),
    ]);
    await pair.source.waitForStatus('cancelled');
    await pair.source.execute('migrate_cancel');
    expect(pair.source.statuses).toEqual(['setup', 'active', 'cancelling', 'cancelled']);
    await pair.expectFailed(pair.destination);
    await expectOwner(pair, pair.source);
  });
});
