import { describe, expect, test } from 'vitest';
import { transports } from '../support/addresses.ts';
import { expectOwner, type Pair, withPair } from '../support/pair.ts';
import { CALM_RATE, crawling } from '../support/parameters.ts';

const once = ['postcopy-paused', 'postcopy-recover', 'postcopy-active'];
const onceOfSource = ['postcopy-paused', 'postcopy-recover-setup', ...once.slice(1)];

/** Both paused, over one new link, until all is there; told as it should be. */
async function expectRecovery(pair: Pair, uri?: string): Promise<void> {
  await pair.resume(uri);
  await pair.waitForBoth('postcopy-active');
  await pair.untilCompleted();
  const { source, destination } = pair;
  const begun = ['setup', 'active', 'device', 'postcopy-device', 'postcopy-active'];
  expect(source.statuses).toEqual([...begun, ...onceOfSource, 'completed']);
  expect(destination.statuses).toEqual([
    'setup',
    'active',
    'postcopy-active',
    ...once,
    'completed',
  ]);
  expect(await source.errorDescription()).toBeUndefined();
  await expectOwner(pair, destination);
}

const channels = [
  { preempt: true, name: 'with the urgent channel' },
  { preempt: false, name: 'without the urgent channel' },
];

describe.each(transports)('over %s', (transport) => {
  describe.each(channels)('$name', ({ preempt }) => {
    const options = {
      transport,
      preempt,
      postcopy: true,
      rate: CALM_RATE,
      parameters: crawling,
    } as const;

    test('migrate-pause pauses both sides, and a new address recovers them', async () => {
      await withPair(options, async (pair) => {
        await pair.untilPostcopyActive();
        await pair.source.executeOob('migrate-pause');
        await pair.waitForBoth('postcopy-paused');
        expect(await pair.source.errorDescription()).toMatch(/paused by the user/);
        expect((await pair.destination.runStatus()).running).toBe(true);
        await pair.recoverAt();
        await expectRecovery(pair);
      });
    });

    test('the destination still listens where it did, and is recovered there', async () => {
      await withPair(options, async (pair) => {
        await pair.untilPostcopyActive();
        await pair.source.executeOob('migrate-pause');
        await pair.waitForBoth('postcopy-paused');
        await expectRecovery(pair);
      });
    });
  });

  const options = { transport, postcopy: true, rate: CALM_RATE, parameters: crawling } as const;

  test('migrate-pause at the destination pauses both sides', async () => {
    await withPair(options, async (pair) => {
      await pair.untilPostcopyActive();
      await pair.destination.executeOob('migrate-pause');
      await pair.waitForBoth('postcopy-paused');
      await expectRecovery(pair);
    });
  });

  test.each(['rst', 'fin'] as const)('both sides notice a link cut by %s', async (kind) => {
    await withPair(options, async (pair) => {
      const link = await pair.openLink();
      await pair.untilPostcopyActive(link.uri);
      link.cut(kind);
      await pair.waitForBoth('postcopy-paused');
      await expectRecovery(pair, link.uri);
    });
  });

  test.each(['main', 'urgent'] as const)(
    'where only the %s channel breaks both are built anew',
    async (role) => {
      await withPair(options, async (pair) => {
        const link = await pair.openLink();
        await pair.untilPostcopyActive(link.uri);
        await link.seen({ frame: 'answer', role: 'urgent' });
        link.cut('rst', { role });
        await pair.waitForBoth('postcopy-paused');
        await expectRecovery(pair, link.uri);
        expect(link.count({ frame: 'answer', role: 'main' })).toBe(2);
        expect(link.count({ frame: 'answer', role: 'urgent' })).toBe(2);
      });
    },
  );

  test('a recovery displaces a link that is dead and does not know it', async () => {
    await withPair(options, async (pair) => {
      const link = await pair.openLink();
      await pair.untilPostcopyActive(link.uri);
      link.silence();
      await pair.source.executeOob('migrate-pause');
      await pair.source.waitForStatus('postcopy-paused');
      expect(pair.destination.statuses.at(-1)).toBe('postcopy-active'); // it has seen nothing
      await expectRecovery(pair);
    });
  });
});

test('who is not paused is not recovered, and who is paused is', async () => {
  const options = { postcopy: true, rate: CALM_RATE, parameters: crawling } as const;
  await withPair(options, async (pair) => {
    await pair.untilPostcopyActive();
    await expect(pair.resume()).rejects.toThrow(/paused/);
    await expect(pair.recoverAt()).rejects.toThrow(/paused/);
    await pair.source.executeOob('migrate-pause');
    await pair.waitForBoth('postcopy-paused');
    await expectRecovery(pair);
  });
});

test('a guest that waits for a page when the link breaks gets it after the recovery', async () => {
  const options = { workload: 'random', vcpus: 2, postcopy: true, parameters: crawling } as const;
  await withPair(options, async (pair) => {
    const link = await pair.openLink();
    const cut = link.cutWhen({ frame: 'REQUEST', at: 'after', nth: 50 });
    // The guest asks from its first step on: the cut may even come before the source has read 'running'.
    await pair.migrateByPostcopy(link.uri);
    await cut;
    await pair.waitForBoth('postcopy-paused');
    await expectRecovery(pair, link.uri);
  });
});
