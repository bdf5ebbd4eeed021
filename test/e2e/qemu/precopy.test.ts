import { expect, test } from 'vitest';
import { parseAddress } from '@godwit/transport';
import type { Pair } from '../../support/pair.ts';
import {
  ensureConverge,
  type MigrateOptions,
  migrateEnd,
  waitForGuest,
  waitForSwitchover,
  withQemuPair,
} from '../../support/qemu-steps.ts';
import { precopyOfDestination, precopyOfSource } from '../../support/sequences.ts';

/* QEMU tests/qtest/migration/precopy-tests.c without its cancel tests, which have a file of their own. */

/** QEMU has 16 in all of these; each is a thread on either side, so one test has them, the others a few. */
const MANY_CHANNELS = 16;
const CHANNELS = 4;

/** `test_precopy_common`, live: the guest runs, and is sent a second time before it may converge. */
async function expectPrecopyLive(
  options: MigrateOptions,
  migrate: (pair: Pair) => Promise<void> = (pair) => pair.migrate(),
): Promise<void> {
  await withQemuPair(options, async (pair) => {
    await waitForGuest(pair.source);
    await migrate(pair);
    await pair.source.waitForPass(2);
    await ensureConverge(pair);
    await pair.source.waitForStatus('completed');
    await waitForSwitchover(pair);
    expect(pair.source.statuses).toEqual(precopyOfSource);
    await waitForGuest(pair.destination);
    await migrateEnd(pair);
  });
}

test('/migration/precopy/unix/plain', () => expectPrecopyLive({ transport: 'unix' }));

/** Not live: a stopped guest, which arrives stopped and is run by hand. */
test('/migration/precopy/tcp/plain', () =>
  withQemuPair({}, async (pair) => {
    const { source, destination } = pair;
    await waitForGuest(source);
    await source.execute('stop');
    await source.waitForEvent('STOP');
    await ensureConverge(pair);
    await pair.migrate();
    await pair.waitForBoth('completed');
    expect(source.statuses).toEqual(precopyOfSource);
    expect(destination.statuses).toEqual(precopyOfDestination);
    expect((await destination.runStatus()).running).toBe(false);
    await destination.execute('cont');
    await destination.waitForEvent('RESUME');
    await waitForGuest(destination);
    await migrateEnd(pair);
  }));

test('/migration/multifd/tcp/uri/plain/none', () => expectPrecopyLive({ channels: MANY_CHANNELS }));

test('/migration/multifd/tcp/channels/plain/none', () =>
  expectPrecopyLive({ channels: CHANNELS }, async ({ source, uri }) => {
    const address = parseAddress(uri);
    if (address.type !== 'tcp') throw new Error(`${uri} is no tcp address`);
    const { host, port } = address;
    const addr = { transport: 'socket', type: 'inet', host, port: String(port) };
    await source.execute('migrate', { channels: [{ 'channel-type': 'main', addr }] });
  }));

test('/migration/multifd/tcp/plain/cancel', () =>
  withQemuPair({ channels: CHANNELS }, async (pair) => {
    const { source } = pair;
    await waitForGuest(source);
    await pair.migrate();
    await source.waitForPass(2);
    await source.execute('migrate_cancel');
    await pair.expectFailed(pair.destination); // and the process ends with 1
    await source.waitForStatus('cancelled');
    await pair.startDestination('another');
    await ensureConverge(pair);
    await pair.migrate();
    await source.waitForStatus('completed');
    await waitForSwitchover(pair);
    const first = ['setup', 'active', 'cancelling', 'cancelled'];
    expect(source.statuses).toEqual([...first, ...precopyOfSource]);
    await migrateEnd(pair);
  }));
