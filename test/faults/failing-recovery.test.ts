import { describe, expect, test } from 'vitest';
import { refusedAddress, transports } from '../support/addresses.ts';
import { silentListener, strangerListener } from '../support/bad-listeners.ts';
import { expectOwner, type Pair, withPair } from '../support/pair.ts';
import { CALM_RATE, crawling } from '../support/parameters.ts';

const options = { postcopy: true, rate: CALM_RATE, parameters: crawling } as const;

async function untilPaused(pair: Pair): Promise<void> {
  await pair.untilPostcopyActive();
  await pair.source.executeOob('migrate-pause');
  await pair.waitForBoth('postcopy-paused');
}

/** The attempt fails, is told as it should be, and harms nothing. */
async function expectFailedAttempt(pair: Pair, uri: string, why: RegExp): Promise<void> {
  const told = pair.source.statuses.length;
  const toldThere = pair.destination.statuses.length;
  await pair.resume(uri);
  await pair.source.waitForStatus('postcopy-paused');
  expect(pair.source.statuses.slice(told)).toEqual(['postcopy-recover-setup', 'postcopy-paused']);
  expect(await pair.source.errorDescription()).toMatch(why);
  expect(pair.destination.statuses).toHaveLength(toldThere);
}

async function expectGoodRecovery(pair: Pair): Promise<void> {
  await pair.resume();
  await pair.waitForBoth('postcopy-active');
  expect(await pair.source.errorDescription()).toBeUndefined();
  await pair.untilCompleted();
  await expectOwner(pair, pair.destination);
}

describe.each(transports)('recovery over %s', (transport) => {
  test('fails where nobody listens, then succeeds where somebody does', async () => {
    await withPair({ ...options, transport }, async (pair) => {
      await untilPaused(pair);
      const nobody = await refusedAddress(transport, pair.directory.path);
      await expectFailedAttempt(pair, nobody, /cannot connect/);
      await expectFailedAttempt(pair, nobody, /cannot connect/);
      await expectGoodRecovery(pair);
    });
  });

  test('fails in time where somebody listens and never speaks', async () => {
    await withPair({ ...options, transport }, async (pair) => {
      await untilPaused(pair);
      await using silent = await silentListener(transport, pair.directory.path);
      await pair.source.setParameters({ 'x-handshake-timeout': 300 });
      await expectFailedAttempt(pair, silent.uri, /300 ms/);
      await pair.source.setParameters({ 'x-handshake-timeout': 10_000 });
      await expectGoodRecovery(pair);
    });
  });

  test('fails where a stranger listens, who learns nothing from it', async () => {
    await withPair({ ...options, transport }, async (pair) => {
      await untilPaused(pair);
      await using stranger = await strangerListener(transport, pair.directory.path);
      await expectFailedAttempt(pair, stranger.uri, /cannot prove/);
      expect(stranger.connectionCount).toBe(1);
      await expectGoodRecovery(pair);
    });
  });

  test('can be given up while it waits for an answer', async () => {
    await withPair({ ...options, transport }, async (pair) => {
      await untilPaused(pair);
      await using silent = await silentListener(transport, pair.directory.path);
      const told = pair.source.statuses.length;
      await pair.resume(silent.uri);
      await pair.source.waitForStatus('postcopy-recover-setup');
      await pair.source.executeOob('migrate-pause');
      await pair.source.waitForStatus('postcopy-paused', 2000);
      expect(pair.source.statuses.slice(told)).toEqual([
        'postcopy-recover-setup',
        'postcopy-paused',
      ]);
      expect(await pair.source.errorDescription()).toMatch(/paused by the user/);
      await expectGoodRecovery(pair);
    });
  });

  test('finds another destination there, which is not disturbed and gives nothing away', async () => {
    await withPair({ ...options, transport }, async (pair) => {
      await untilPaused(pair);
      const { destination, uri } = pair;
      const another = await pair.startDestination('another');
      const wrong = pair.uri;
      pair.destination = destination;
      pair.uri = uri;
      await expectFailedAttempt(pair, wrong, /other-session/);
      expect(another.statuses).toEqual(['setup']);
      await expectGoodRecovery(pair);
    });
  });

  test('that falls silent in its handshake times out, and the next one succeeds', async () => {
    await withPair({ ...options, transport }, async (pair) => {
      await untilPaused(pair);
      const link = await pair.openLink();
      const held = link.hold({ frame: 'recovering' });
      await pair.source.setParameters({ 'x-handshake-timeout': 300 });
      const told = pair.source.statuses.length;
      await pair.resume(link.uri);
      await held.reached;
      await pair.source.waitForStatus('postcopy-paused', 3000);
      expect(pair.source.statuses.slice(told)).toEqual([
        'postcopy-recover-setup',
        'postcopy-recover',
        'postcopy-paused',
      ]);
      expect(await pair.source.errorDescription()).toMatch(/300 ms/);
      held.release();
      await pair.source.setParameters({ 'x-handshake-timeout': 10_000 });
      await expectGoodRecovery(pair);
    });
  });

  test('can be given up in its handshake, by either side', async () => {
    await withPair({ ...options, transport }, async (pair) => {
      await untilPaused(pair);
      const link = await pair.openLink();
      for (const side of [pair.source, pair.destination]) {
        const held = link.hold({ frame: 'recovering' });
        await pair.resume(link.uri);
        await held.reached;
        await pair.waitForBoth('postcopy-recover');
        await side.executeOob('migrate-pause');
        held.release();
        await pair.waitForBoth('postcopy-paused');
      }
      await expectGoodRecovery(pair);
    });
  });
});

test('a migrate-recover to an address that is taken changes nothing', async () => {
  await withPair(options, async (pair) => {
    await untilPaused(pair);
    await using silent = await silentListener('unix', pair.directory.path);
    await expect(pair.recoverAt(silent.uri)).rejects.toThrow(/cannot listen/);
    await expectGoodRecovery(pair);
  });
});
