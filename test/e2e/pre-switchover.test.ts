import { describe, expect, test } from 'vitest';
import { transports } from '../support/addresses.ts';
import { expectOwner, expectRunning, type Pair, withPair } from '../support/pair.ts';
import { fast } from '../support/parameters.ts';

const pausing = { 'pause-before-switchover': true };

/** The guest stands still, and neither side runs it. */
async function untilPreSwitchover(pair: Pair, uri?: string): Promise<void> {
  await pair.source.setCapabilities(pausing);
  if (pair.options.postcopy === true) await pair.migrateByPostcopy(uri);
  else await pair.migrate(uri);
  await pair.source.waitForEvent('STOP');
  await pair.source.waitForStatus('pre-switchover');
  expect(await pair.source.runStatus()).toEqual({ status: 'finish-migrate', running: false });
  await expect(pair.source.execute('cont')).rejects.toThrow('not finalized');
}

async function continueFrom(pair: Pair, state: string): Promise<void> {
  await pair.source.execute('migrate-continue', { state });
}

describe.each(transports)('over %s', (transport) => {
  test.each([
    { postcopy: false, after: ['device', 'completed'] },
    { postcopy: true, after: ['device', 'postcopy-device', 'postcopy-active', 'completed'] },
  ])('the guest waits before its switchover (postcopy: $postcopy)', async ({ postcopy, after }) => {
    await withPair({ transport, postcopy, parameters: fast }, async (pair) => {
      await untilPreSwitchover(pair);
      for (const state of ['active', 'device', 'none', 'wait-unplug']) {
        const refused = 'Migration not in expected state: pre-switchover';
        await expect(continueFrom(pair, state)).rejects.toThrow(refused);
      }
      await continueFrom(pair, 'pre-switchover');
      await pair.waitForBoth('completed');
      expect(pair.source.statuses).toEqual(['setup', 'active', 'pre-switchover', ...after]);
      await expectOwner(pair, pair.destination);
    });
  });

  test.each([
    { postcopy: false, commands: ['stop'], arrives: 'paused' },
    { postcopy: true, commands: ['stop'], arrives: 'paused' },
    { postcopy: false, commands: ['stop', 'cont'], arrives: 'running' },
  ])(
    'a guest arrives $arrives after $commands meanwhile (postcopy: $postcopy)',
    async ({ postcopy, commands, arrives }) => {
      await withPair({ transport, postcopy, parameters: fast }, async (pair) => {
        await untilPreSwitchover(pair);
        for (const command of commands) await pair.source.execute(command);
        await continueFrom(pair, 'pre-switchover');
        await pair.waitForBoth('completed');
        const running = arrives === 'running';
        expect(await pair.destination.runStatus()).toEqual({ status: arrives, running });
        if (running) await expectRunning(pair, pair.destination);
        await expectOwner(pair, pair.destination, { paused: !running });
      });
    },
  );

  test('a guest that was stopped meanwhile stays so when the migration is cancelled', async () => {
    await withPair({ transport, parameters: fast }, async (pair) => {
      await untilPreSwitchover(pair);
      await pair.source.execute('stop');
      await pair.source.execute('migrate_cancel');
      await pair.source.waitForStatus('cancelled');
      expect(await pair.source.runStatus()).toEqual({ status: 'paused', running: false });
      await pair.expectFailed(pair.destination);
      await expectOwner(pair, pair.source, { paused: true });
    });
  });

  test('a link that breaks meanwhile gives the guest back', async () => {
    await withPair({ transport, parameters: fast }, async (pair) => {
      const link = await pair.openLink();
      await untilPreSwitchover(pair, link.uri);
      link.cut('rst');
      await pair.source.waitForStatus('failed');
      await pair.expectFailed(pair.destination);
      expect(pair.source.statuses).toEqual(['setup', 'active', 'pre-switchover', 'failed']);
      await expectOwner(pair, pair.source);
    });
  });

  test('a link that falls silent meanwhile is noticed, and gives the guest back', async () => {
    await withPair({ transport, parameters: fast }, async (pair) => {
      const link = await pair.openLink();
      await untilPreSwitchover(pair, link.uri);
      await pair.source.setParameters({ 'x-handshake-timeout': 300 });
      link.silence();
      await pair.source.waitForStatus('failed', 5000);
      expect(await pair.source.errorDescription()).toMatch(/300 ms/);
      await expectRunning(pair, pair.source);
      link.cut('rst');
      await pair.expectFailed(pair.destination);
      await expectOwner(pair, pair.source);
    });
  });

  test('an operator may take longer than any step of the protocol', async () => {
    await withPair({ transport, parameters: fast }, async (pair) => {
      const link = await pair.openLink();
      await untilPreSwitchover(pair, link.uri);
      // A step may take half a second, and the link is tried each second.
      await pair.source.setParameters({ 'x-handshake-timeout': 500 });
      await link.seen({ frame: 'flushed' });
      const since = link.frames.entries.length;
      await link.seen({ frame: 'flushed' }, { since });
      await continueFrom(pair, 'pre-switchover');
      await pair.waitForBoth('completed');
      await expectOwner(pair, pair.destination);
    });
  });
});

test('/migration/cancel/src/after/pre-switchover', async () => {
  await withPair({ channels: 2, parameters: fast }, async (pair) => {
    await untilPreSwitchover(pair);
    await pair.source.execute('migrate_cancel');
    await pair.source.waitForStatus('cancelled');
    expect(pair.source.statuses).toEqual([
      'setup',
      'active',
      'pre-switchover',
      'cancelling',
      'cancelled',
    ]);
    await pair.expectFailed(pair.destination);
    await expectRunning(pair, pair.source);
    // It pauses again when it leaves for somebody else.
    const another = await pair.startDestination('another');
    await untilPreSwitchover(pair);
    await continueFrom(pair, 'pre-switchover');
    await pair.waitForBoth('completed');
    await expectOwner(pair, another);
  });
});

test('a migrate-continue that comes too early is not kept for later', async () => {
  const parameters = { 'max-bandwidth': 1_000_000 };
  await withPair({ workload: 'random', parameters }, async (pair) => {
    await expect(continueFrom(pair, 'pre-switchover')).rejects.toThrow('expected state: none');
    await pair.source.setCapabilities(pausing);
    await pair.migrate();
    await pair.source.waitForStatus('active');
    await expect(continueFrom(pair, 'pre-switchover')).rejects.toThrow('expected state: active');
    await continueFrom(pair, 'active'); // as in QEMU: true, and without effect
    await pair.source.setParameters({ 'max-bandwidth': 0, 'downtime-limit': 2000 });
    await pair.source.waitForStatus('pre-switchover');
    await expect(pair.source.execute('migrate-continue', { state: 'soon' })).rejects.toThrow(
      "Parameter 'state' does not accept value 'soon'",
    );
    expect(pair.source.statuses.at(-1)).toBe('pre-switchover');
    await continueFrom(pair, 'pre-switchover');
    await pair.waitForBoth('completed');
    await expectOwner(pair, pair.destination);
  });
});
