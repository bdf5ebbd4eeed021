import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { connectOptions } from '../../support/addresses.ts';
import { closingListener } from '../../support/bad-listeners.ts';
import type { Pair } from '../../support/pair.ts';
import {
  type MigrateOptions,
  migrateEnd,
  setParameters,
  slowAbGuest,
  slowNonConverge,
  waitForDirtyMemory,
  waitForGuest,
  waitForSwitchover,
  withQemuPair,
} from '../../support/qemu-steps.ts';
import { psk } from '../../support/tls-steps.ts';

/* QEMU tests/qtest/migration/postcopy-tests.c, and those of postcopy in tls-tests.c. */

type Prepare = (pair: Pair) => Promise<void>;

const recovery = [
  'postcopy-paused',
  'postcopy-recover-setup',
  'postcopy-recover',
  'postcopy-active',
] as const;
const untilPostcopy = ['setup', 'active', 'device', 'postcopy-device', 'postcopy-active'] as const;

/** `migrate_postcopy_prepare` and `migrate_postcopy_start` */
async function startPostcopy(pair: Pair): Promise<void> {
  const { source, destination } = pair;
  await destination.setCapabilities({ 'postcopy-blocktime': true });
  await waitForGuest(source);
  await pair.migrate();
  await source.waitForStatus('active');
  await waitForDirtyMemory(source);
  await pair.startPostcopy();
  await waitForSwitchover(pair);
}

/** `migrate_postcopy_complete` */
async function completePostcopy(pair: Pair, statuses: readonly string[]): Promise<void> {
  const { source, destination } = pair;
  await pair.waitForBoth('completed');
  await waitForGuest(destination);
  expect(source.statuses).toEqual(statuses);
  const info = await destination.execute<Record<string, unknown>>('query-migrate');
  expect(info['postcopy-blocktime']).toEqual(expect.any(Number));
  expect(info['postcopy-vcpu-blocktime']).toEqual(expect.any(Array));
  expect(info['x-faults']).toMatchObject({ 'latency-p50-us': expect.any(Number) });
  await migrateEnd(pair);
}

async function expectPostcopyCommon(options: MigrateOptions, prepare?: Prepare): Promise<void> {
  await withQemuPair({ postcopy: true, ...options }, async (pair) => {
    await prepare?.(pair);
    await startPostcopy(pair);
    await completePostcopy(pair, [...untilPostcopy, 'completed']);
  });
}

/** `test_postcopy_recovery_common`; `failBefore`: an attempt that fails comes before the good one. */
async function expectRecoveryCommon(
  options: MigrateOptions,
  failBefore?: (pair: Pair) => Promise<readonly string[]>,
  prepare?: Prepare,
): Promise<void> {
  const slow = { ...slowAbGuest, parameters: slowNonConverge };
  await withQemuPair({ postcopy: true, ...slow, ...options }, async (pair) => {
    const { source } = pair;
    await prepare?.(pair);
    await setParameters(source, { 'max-postcopy-bandwidth': 4096 });
    await startPostcopy(pair);
    await pair.waitForBoth('postcopy-active');
    await source.executeOob('migrate-pause');
    await pair.waitForBoth('postcopy-paused');
    const failed = (await failBefore?.(pair)) ?? [];
    await pair.recoverAt();
    await pair.resume();
    await pair.waitForBoth('postcopy-active');
    await setParameters(source, { 'max-postcopy-bandwidth': 0 });
    await completePostcopy(pair, [...untilPostcopy, ...failed, ...recovery, 'completed']);
  });
}

test('/migration/postcopy/plain', () => expectPostcopyCommon({ preempt: false }));

test('/migration/postcopy/preempt/plain', () => expectPostcopyCommon({ preempt: true }));

test('/migration/postcopy/recovery/plain', () => expectRecoveryCommon({ preempt: false }));

test('/migration/postcopy/preempt/recovery/plain', () => expectRecoveryCommon({ preempt: true }));

test('/migration/postcopy/tls/psk', () => expectPostcopyCommon({ preempt: false }, psk()));

test('/migration/postcopy/preempt/tls/psk', () => expectPostcopyCommon({ preempt: true }, psk()));

test('/migration/postcopy/recovery/tls/psk', () =>
  expectRecoveryCommon({ preempt: false }, undefined, psk()));

test('/migration/postcopy/preempt/recovery/tls/psk', () =>
  expectRecoveryCommon({ preempt: true }, undefined, psk()));

/**
 * QEMU gives both sides sockets that lead nowhere. A source of ours goes on to postcopy-recover only
 * when the other side has proved that it is its own, so the link leads there, and falls silent then.
 */
test('/migration/postcopy/recovery/double-failures/handshake', () =>
  expectRecoveryCommon({}, async (pair) => {
    const { source, destination } = pair;
    const link = await pair.openLink();
    const held = link.hold({ frame: 'recovering' });
    await pair.resume(link.uri);
    await source.waitForStatus('postcopy-recover-setup');
    await pair.waitForBoth('postcopy-recover');
    await held.reached;
    link.silence();
    await source.executeOob('migrate-pause');
    await source.waitForStatus('postcopy-paused');
    expect(await statusOf(destination)).toBe('postcopy-recover');
    await destination.executeOob('migrate-pause');
    await destination.waitForStatus('postcopy-paused');
    return recovery.slice(0, 3);
  }));

/**
 * The source's attempt ends at once, and at the destination somebody says a byte and no more. With
 * that QEMU is in postcopy-recover and has to be paused by hand; ours lets no stranger so far.
 */
test('/migration/postcopy/recovery/double-failures/reconnect', () =>
  expectRecoveryCommon({}, async (pair) => {
    const { source, destination } = pair;
    const stranger = connect(connectOptions(await pair.recoverAt()));
    stranger.on('error', () => undefined); // to be thrown out is what it expects
    stranger.write(Buffer.of(8));
    await using closing = await closingListener('tcp', pair.directory.path);
    await pair.resume(closing.uri);
    await source.waitForStatus('postcopy-recover-setup');
    await source.waitForStatus('postcopy-paused');
    expect(await statusOf(destination)).toBe('postcopy-paused');
    await expect(destination.executeOob('migrate-pause')).rejects.toThrow(/postcopy/);
    stranger.destroy();
    return recovery.slice(0, 2);
  }));

async function statusOf(guest: Pair['source']): Promise<string> {
  return (await guest.execute<{ status: string }>('query-migrate')).status;
}
