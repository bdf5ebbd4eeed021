import { describe, expect, test } from 'vitest';
import { refusedAddress } from '../../support/addresses.ts';
import { silentListener } from '../../support/bad-listeners.ts';
import { expectOwner, type Pair } from '../../support/pair.ts';
import {
  ensureConverge,
  expectRunsAtSource,
  migrateEnd,
  waitForSwitchover,
  withQemuPair,
} from '../../support/qemu-steps.ts';
import { CALM_RATE, crawling } from '../../support/parameters.ts';
import { precopyOfDestination, precopyOfSource } from '../../support/sequences.ts';

/*
 * QEMU tests/qtest/migration/precopy-tests.c, test_cancel_src_after_*; the last three are of states in
 * which it does not try. Cancel in device and postcopy-device: ../cancel.test.ts.
 */

const cancelled = ['cancelling', 'cancelled'] as const;

async function cancel({ source }: Pair): Promise<void> {
  await source.execute('migrate_cancel');
}

/** The destination gives up, the guest has never stopped. */
async function expectCancelled(pair: Pair, before: readonly string[]): Promise<void> {
  await pair.source.waitForStatus('cancelled');
  await pair.expectFailed(pair.destination);
  await expectRunsAtSource(pair, [...before, ...cancelled]);
}

test('/migration/cancel/src/after/none', () =>
  withQemuPair({}, async (pair) => {
    await pair.destination.execute('migrate_cancel');
    await cancel(pair);
    await ensureConverge(pair);
    await pair.migrate();
    await pair.waitForBoth('completed');
    await waitForSwitchover(pair);
    expect(pair.source.statuses).toEqual(precopyOfSource);
    await migrateEnd(pair);
  }));

/** Held there: where QEMU may be in active by the time it is told to cancel, this is in setup. */
test('/migration/cancel/src/after/setup', () =>
  withQemuPair({}, async (pair) => {
    const link = await pair.openLink();
    const held = link.hold({ frame: 'started' });
    await pair.migrate(link.uri);
    await pair.source.waitForStatus('setup');
    await held.reached;
    await cancel(pair);
    await expectCancelled(pair, ['setup']);
  }));

test('/migration/cancel/src/after/active', () =>
  withQemuPair({}, async (pair) => {
    await pair.migrate();
    await pair.source.waitForStatus('active');
    await cancel(pair);
    await expectCancelled(pair, ['setup', 'active']);
  }));

test.each(['cancelling', 'cancelled'])('/migration/cancel/src/after/%s', (status) =>
  withQemuPair({}, async (pair) => {
    await pair.migrate();
    await pair.waitForBoth('active');
    await cancel(pair);
    await pair.source.waitForStatus(status);
    await cancel(pair);
    if (status === 'cancelling') await pair.source.waitForStatus('cancelled');
    await pair.expectFailed(pair.destination);
    await expectRunsAtSource(pair, ['setup', 'active', ...cancelled]);
  }),
);

test('/migration/cancel/src/after/completed', () =>
  withQemuPair({}, async (pair) => {
    await ensureConverge(pair);
    await pair.migrate();
    await pair.waitForBoth('completed');
    await cancel(pair);
    await pair.destination.execute('migrate_cancel');
    expect(pair.source.statuses).toEqual(precopyOfSource);
    expect(pair.destination.statuses).toEqual(precopyOfDestination);
    await migrateEnd(pair);
  }));

test('/migration/cancel/src/after/failed', () =>
  withQemuPair({}, async (pair) => {
    await pair.migrate(await refusedAddress('tcp', pair.directory.path));
    await pair.source.waitForStatus('failed');
    await cancel(pair);
    await expectRunsAtSource(pair, ['setup', 'failed']);
  }));

/** Each is reached from postcopy-paused, and is left for postcopy-active again. */
const states: Readonly<Record<string, (pair: Pair) => Promise<void>>> = {
  async 'postcopy-paused'() {
    // It is.
  },
  async 'postcopy-recover-setup'(pair) {
    const silent = await silentListener('tcp', pair.directory.path);
    await pair.resume(silent.uri);
    await pair.source.waitForStatus('postcopy-recover-setup');
    await refuseToCancel(pair, 'postcopy-recover-setup');
    await silent[Symbol.asyncDispose]();
    await pair.source.waitForStatus('postcopy-paused');
  },
  async 'postcopy-recover'(pair) {
    const link = await pair.openLink();
    const held = link.hold({ frame: 'recovering' });
    await pair.resume(link.uri);
    await held.reached;
    await pair.waitForBoth('postcopy-recover');
    await refuseToCancel(pair, 'postcopy-recover');
    link.cut();
    await pair.waitForBoth('postcopy-paused');
  },
};

async function refuseToCancel(pair: Pair, status: string): Promise<void> {
  await expect(cancel(pair)).rejects.toThrow(`cannot cancel. In ${status} `);
  expect(pair.source.statuses.at(-1)).toBe(status);
}

describe('the guest is at the destination: a cancel is refused, and changes nothing', () => {
  test.each(Object.keys(states))('/migration/cancel/src/after/%s', (status) =>
    withQemuPair({ postcopy: true, rate: CALM_RATE, parameters: crawling }, async (pair) => {
      await pair.untilPostcopyActive();
      await refuseToCancel(pair, 'postcopy-active');
      await pair.source.executeOob('migrate-pause');
      await pair.waitForBoth('postcopy-paused');
      await states[status]?.(pair);
      await refuseToCancel(pair, 'postcopy-paused');
      await pair.resume();
      await pair.waitForBoth('postcopy-active');
      await pair.untilCompleted();
      await expectOwner(pair, pair.destination);
    }),
  );
});
