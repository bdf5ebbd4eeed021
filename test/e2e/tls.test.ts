import { open } from 'node:fs/promises';
import { connect } from 'node:net';
import { Relay } from '@godwit/chaos';
import { expect, test } from 'vitest';
import { connectOptions } from '../support/addresses.ts';
import type { GuestProcess } from '../support/guest-process.ts';
import { expectOwner, type Pair, withPair } from '../support/pair.ts';
import { precopyOfSource } from '../support/sequences.ts';
import { TestDirectory } from '../support/test-directory.ts';
import { psk, useObject, x509 } from '../support/tls-steps.ts';
import { CLIENT_NAME, writePsk } from '../support/certificates.ts';

const SAMPLES = 16;
const SAMPLE_BYTES = 64;

/** @returns what some pages of it hold, which nobody but the guest knows. */
async function samplesOf(guest: GuestProcess): Promise<Buffer[]> {
  const [block] =
    await guest.execute<{ 'host-address': string; size: number }[]>('x-query-guest-ram');
  if (block === undefined) throw new Error('no RAM');
  const address = Number(block['host-address']);
  await using memory = await open(`/proc/${guest.pid}/mem`);
  const samples: Buffer[] = [];
  for (let i = 0; i < SAMPLES; i += 1) {
    const bytes = Buffer.alloc(SAMPLE_BYTES);
    await memory.read(bytes, 0, SAMPLE_BYTES, address + Math.floor((block.size / SAMPLES) * i));
    samples.push(bytes);
  }
  return samples;
}

const idle = { transport: 'tcp', workload: 'idle', fill: 1, memory: '16M' } as const;

/** A migration with all kinds of channels; by postcopy with one recovery where that is asked for. */
async function expectOnTheWire(
  readable: boolean,
  prepare: (pair: Pair) => Promise<void>,
  way: 'precopy' | 'recovery',
): Promise<void> {
  await withPair({ ...idle, channels: 2, postcopy: way === 'recovery' }, async (pair) => {
    await prepare(pair);
    const samples = await samplesOf(pair.source);
    await using link = await Relay.open(pair.uri);
    const seen: Buffer[] = [];
    link.onData = (chunk) => void seen.push(chunk);
    if (way === 'precopy') await pair.migrate(link.uri);
    else await recoverOnce(pair, link.uri);
    await pair.waitForBoth('completed');
    const bytes = Buffer.concat(seen);
    expect(bytes.byteLength).toBeGreaterThan(16 * 2 ** 20);
    const secrets = [...samples, 'GODWIT', 'pc.ram', 'postcopy-ram'];
    const found = secrets.filter((secret) => bytes.includes(secret));
    expect(found).toHaveLength(readable ? secrets.length : 0);
    await expectOwner(pair, pair.destination);
  });
}

async function recoverOnce(pair: Pair, uri: string): Promise<void> {
  await pair.source.setParameters({ 'max-postcopy-bandwidth': 1_000_000 });
  await pair.migrateByPostcopy(uri);
  await pair.waitForBoth('postcopy-active');
  await pair.source.executeOob('migrate-pause');
  await pair.waitForBoth('postcopy-paused');
  await pair.source.setParameters({ 'max-postcopy-bandwidth': 0 });
  await pair.resume(uri);
}

test('without TLS whoever reads the link reads the guest', () =>
  expectOnTheWire(true, async () => undefined, 'recovery'));

test.each(['precopy', 'recovery'] as const)(
  'with TLS nothing of the guest or of the protocol can be read on the link, page channels included (%s)',
  (way) => expectOnTheWire(false, psk(), way),
);

test('with certificates as well', () => expectOnTheWire(false, x509(), 'recovery'));

test('who is on no list stays out, and comes in as soon as one has its name', () =>
  withPair(idle, async (pair) => {
    await x509()(pair);
    const { source, destination } = pair;
    const list = { 'qom-type': 'authz-list' };
    const rule = { policy: 'allow', format: 'glob' };
    const others = [{ ...rule, match: 'CN=*,O=Else' }];
    await destination.execute('object-add', { ...list, id: 'others', rules: others });
    const ours = [...others, { ...rule, match: 'CN=laptop.*,O=Example Home,*' }];
    await destination.execute('object-add', { ...list, id: 'ours', rules: ours });
    await destination.setParameters({ 'tls-authz': 'others' });
    await pair.migrate();
    await source.waitForStatus('failed');
    expect(await source.errorDescription()).toMatch(/does not accept who this side is/);
    expect(await destination.errorDescription()).toContain(`check for ${CLIENT_NAME} is denied`);
    await destination.setParameters({ 'tls-authz': 'ours' });
    await pair.migrate();
    await pair.waitForBoth('completed');
    await expectOwner(pair, destination);
  }));

test('a stranger in the clear, in postcopy, does not disturb a migration that is encrypted', () =>
  withPair({ ...idle, postcopy: true }, async (pair) => {
    await psk()(pair);
    await pair.source.setParameters({ 'max-postcopy-bandwidth': 1_000_000 });
    await pair.migrateByPostcopy();
    await pair.waitForBoth('postcopy-active');
    const stranger = connect(connectOptions(pair.uri));
    const ended = new Promise((resolve) => stranger.on('close', resolve));
    stranger.on('error', () => undefined);
    stranger.resume();
    stranger.write('GODWIT\r\n');
    await ended; // thrown out
    await pair.source.setParameters({ 'max-postcopy-bandwidth': 0 });
    await pair.waitForBoth('completed');
    await expectOwner(pair, pair.destination);
  }));

test('a source whose credentials are gone cannot recover, and does not try in the clear', () =>
  withPair({ ...idle, postcopy: true }, async (pair) => {
    const { source, destination } = pair;
    await using directory = await TestDirectory.make();
    const dir = await writePsk(directory.path);
    const object = { 'qom-type': 'tls-creds-psk', dir };
    await useObject(source, { ...object, endpoint: 'client' });
    await useObject(destination, { ...object, endpoint: 'server' });
    await source.setParameters({ 'max-postcopy-bandwidth': 1_000_000 });
    await pair.migrateByPostcopy();
    await pair.waitForBoth('postcopy-active');
    await source.executeOob('migrate-pause');
    await pair.waitForBoth('postcopy-paused');
    await source.execute('object-del', { id: 'tls0' });
    await expect(pair.resume()).rejects.toThrow("No TLS credentials with id 'tls0'");
    await source.setParameters({ 'tls-creds': '', 'x-handshake-timeout': 500 });
    await pair.resume();
    await source.waitForStatus('postcopy-recover-setup');
    await source.waitForStatus('postcopy-paused');
    expect(await source.errorDescription()).toMatch(/may expect TLS/);
    await source.execute('object-add', { ...object, id: 'tls1', endpoint: 'client' });
    await source.setParameters({
      'tls-creds': 'tls1',
      'x-handshake-timeout': 10_000,
      'max-postcopy-bandwidth': 0,
    });
    await pair.resume();
    await pair.waitForBoth('completed');
    await expectOwner(pair, pair.destination);
  }));

test('threads and descriptors of TLS are gone when a migration has ended', () =>
  withPair({ ...idle, channels: 2 }, async (pair) => {
    await psk()(pair);
    const before = await pair.source.resources();
    await pair.migrate();
    await pair.waitForBoth('completed');
    expect(pair.source.statuses).toEqual(precopyOfSource);
    await pair.source.returnsTo(before);
  }));
