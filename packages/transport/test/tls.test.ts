import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { dirname } from 'node:path';
import { connect as netConnect, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { pendingBytes, POLLIN, PollSet } from '@godwit/posix';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import {
  Authority,
  CLIENT_NAME,
  CLIENT_SUBJECT,
  type Identity,
  thisHost,
  writePsk,
  writeX509,
  type X509Directory,
} from '../../../test/support/certificates.ts';
import { parseAddress } from '../src/address.ts';
import { channelSource, writeBytes } from '../src/channel-io.ts';
import type { DialOptions } from '../src/dial.ts';
import { ChannelError, type ChannelErrorCode } from '../src/errors.ts';
import { loadPsk, loadX509 } from '../src/tls/credential-files.ts';
import type { ListenSecurity, TlsCredentials } from '../src/tls/credentials.ts';
import {
  addressKinds,
  Destination,
  dialOwned,
  expectDialFails,
  expectLinked,
  newPath,
  rawClient,
  rawServer,
} from './openings.ts';
import { buffer, socketCount, until, within } from './resources.ts';

const loopback = parseAddress('tcp:127.0.0.1:0');

let authority: Authority;
let stranger: Authority;
let server: Identity;
let client: Identity;

beforeAll(async () => {
  [authority, stranger] = await Promise.all([Authority.create('CA'), Authority.create('other CA')]);
  [server, client] = await Promise.all([
    authority.issue({ subject: 'CN=localhost', names: thisHost }),
    authority.issue({ subject: CLIENT_SUBJECT }),
  ]);
});

interface Side extends Partial<X509Directory> {
  readonly verifyPeer?: boolean;
  readonly sanityCheck?: boolean;
}

async function x509(endpoint: 'client' | 'server', side: Side = {}): Promise<TlsCredentials> {
  const { verifyPeer = true, sanityCheck = true, ...files } = side;
  const dir = await writeX509(newDirectory(), { authority, server, client, ...files });
  return await loadX509({ dir, endpoint, verifyPeer, sanityCheck });
}

async function psk(endpoint: 'client' | 'server', key: string): Promise<TlsCredentials> {
  return await loadPsk(await writePsk(newDirectory(), key), endpoint, 'qemu');
}

function newDirectory(): string {
  return dirname(newPath('x'));
}

async function secureDestination(security: ListenSecurity, limit?: number): Promise<Destination> {
  return await Destination.open(loopback, limit, () => security);
}

function securely(credentials: TlsCredentials, hostname?: string): Partial<DialOptions> {
  return { security: { credentials, hostname } };
}

const KEY = randomBytes(32).toString('hex');

describe.each(addressKinds)('over %s', (_kind, address) => {
  test('a channel carries the same bytes through TLS, both ways', async () => {
    const credentials = await x509('server');
    const destination = await Destination.open(address(), undefined, () => ({ credentials }));
    const channel = await dialOwned(
      destination.address,
      securely(await x509('client'), 'localhost'),
    );
    await expectLinked(channel, (await destination.channels.take()).channel);
  });

  test('a channel carries the same bytes through TLS with a key that both know', async () => {
    const credentials = await psk('server', KEY);
    const destination = await Destination.open(address(), undefined, () => ({ credentials }));
    const channel = await dialOwned(destination.address, securely(await psk('client', KEY)));
    await expectLinked(channel, (await destination.channels.take()).channel);
  });
});

test('what was written before the end arrives, and then the end', async () => {
  const destination = await secureDestination({ credentials: await x509('server') });
  const channel = await dialOwned(destination.address, securely(await x509('client')));
  const { channel: there } = await destination.channels.take();
  const sent = buffer(100_000);
  sent.bytes.set(randomBytes(sent.bytes.byteLength));
  writeBytes(channel.descriptor, sent.address, sent.bytes.byteLength);
  channel.close();
  await within('the end of the thread', channel.ended);
  const received = buffer(100_000);
  await until('all of it', () => pendingBytes(there.descriptor) === 100_000);
  const read = channelSource(there.descriptor);
  for (let done = 0; done < 100_000;) done += read(received.address + done, 100_000 - done);
  expect(received.bytes).toEqual(sent.bytes);
  expect(read(received.address, 1)).toBe(0);
});

test('whichever side shuts a channel down, the other sees its end, and nothing is left open', async () => {
  const before = socketCount();
  const destination = await secureDestination({ credentials: await x509('server') });
  const credentials = await x509('client');
  for (const first of ['source', 'destination'] as const) {
    const channel = await dialOwned(destination.address, securely(credentials));
    const { channel: there } = await destination.channels.take();
    const [one, other] = first === 'source' ? [channel, there] : [there, channel];
    one.shutdown();
    const byte = buffer(1);
    await until('the end', () => isAtEnd(other.descriptor));
    expect(channelSource(other.descriptor)(byte.address, 1)).toBe(0);
    channel.close();
    there.close();
    await within('the end of both threads', Promise.all([channel.ended, there.ended]));
  }
  await destination.close();
  expect(socketCount()).toBe(before);
});

describe('is refused, by name and without disturbing the next one:', () => {
  interface Refusal {
    readonly source: Side;
    readonly destination: Side;
    readonly hostname?: string;
    /** What the source is told, and the destination. */
    readonly told: readonly [source: string, destination: string];
  }
  const ended = 'ended the connection|does not accept';
  const refusals: Record<string, () => Promise<Refusal> | Refusal> = {
    'a server whose certificate is of another authority': async () => ({
      source: {},
      destination: {
        authority: stranger,
        server: await stranger.issue({ subject: 'CN=localhost', names: thisHost }),
      },
      told: ['authority that is not known here', 'does not know the authority|ended'],
    }),
    'a client whose certificate is of another authority': async () => ({
      source: { client: await stranger.issue({ subject: CLIENT_SUBJECT }), sanityCheck: false },
      destination: {},
      told: [ended, 'authority that is not known here'],
    }),
    'a client without a certificate': async () => ({
      source: { client: undefined as never },
      destination: {},
      told: ['asks for a certificate, and this side has none', 'has no certificate'],
    }),
    'a server whose certificate names another host': async () => ({
      source: {},
      destination: {
        server: await authority.issue({
          subject: 'CN=qemu.org',
          names: [{ type: 'dns', value: 'qemu.org' }],
        }),
      },
      told: ['not for this host', 'ended|closed'],
    }),
    'a server that is not the host that is asked for': () => ({
      source: {},
      destination: {},
      hostname: 'elsewhere.example.com',
      told: ['not for this host.*elsewhere.example.com', 'ended|closed'],
    }),
    'a server whose certificate has expired': async () => ({
      source: {},
      destination: {
        sanityCheck: false,
        server: await authority.issue({
          subject: 'CN=localhost',
          names: thisHost,
          days: [-2, -1],
        }),
      },
      told: ['has expired', 'has expired|ended'],
    }),
    'a client whose certificate was revoked': async () => ({
      source: {},
      destination: { crl: await authority.revoke(client) },
      told: [ended, 'was revoked'],
    }),
  };

  test.each(Object.keys(refusals))('%s', async (name) => {
    const {
      source,
      destination: there,
      hostname,
      told,
    } = await (refusals[name] as () => Promise<Refusal>)();
    let credentials = await x509('server', there);
    const destination = await Destination.open(loopback, undefined, () => ({ credentials }));
    const wrong = securely(await x509('client', source), hostname);
    await expectDialFails(destination.address, wrong, 'ERR_TLS', `(${told[0]})`);
    const refused = await destination.refused.take();
    expect(refused.code).toMatch(/ERR_TLS|ERR_CLOSED/);
    expect(refused.message).toMatch(new RegExp(told[1]));
    credentials = await x509('server');
    const channel = await dialOwned(destination.address, securely(await x509('client')));
    await expectLinked(channel, (await destination.channels.take()).channel);
  });
});

test('with verify-peer off a client without a certificate comes in', async () => {
  const credentials = await x509('server', { verifyPeer: false });
  const destination = await secureDestination({ credentials });
  const anonymous = await x509('client', { client: undefined as never });
  const channel = await dialOwned(destination.address, securely(anonymous));
  await expectLinked(channel, (await destination.channels.take()).channel);
});

test('who is authorized comes in, by the name in the certificate; who is not is refused by it', async () => {
  const seen: string[] = [];
  const isAuthorized = (identity: string): boolean => {
    seen.push(identity);
    return identity === CLIENT_NAME;
  };
  const destination = await secureDestination({ credentials: await x509('server'), isAuthorized });
  const other = await authority.issue({ subject: 'C=GB, O=Example Home, CN=tablet' });
  const wrong = securely(await x509('client', { client: other }));
  await expectDialFails(destination.address, wrong, 'ERR_TLS', 'does not accept who this side is');
  expect((await destination.refused.take()).message).toBe(
    'TLS authz check for CN=tablet,O=Example Home,C=GB is denied',
  );
  const channel = await dialOwned(destination.address, securely(await x509('client')));
  await expectLinked(channel, (await destination.channels.take()).channel);
  expect(seen).toEqual(['CN=tablet,O=Example Home,C=GB', CLIENT_NAME]);
});

test('who has to be authorized and has proved no name is refused', async () => {
  const credentials = await x509('server', { verifyPeer: false });
  const destination = await secureDestination({ credentials, isAuthorized: () => true });
  await expectDialFails(destination.address, securely(await x509('client')), 'ERR_TLS');
  expect((await destination.refused.take()).message).toMatch(/has not proved a name is denied/);
});

test('a client whose key is another one is refused', async () => {
  const destination = await secureDestination({ credentials: await psk('server', KEY) });
  const wrong = securely(await psk('client', randomBytes(32).toString('hex')));
  await expectDialFails(destination.address, wrong, 'ERR_TLS', 'another key');
  expect((await destination.refused.take()).message).toMatch(/another key/);
  const channel = await dialOwned(destination.address, securely(await psk('client', KEY)));
  await expectLinked(channel, (await destination.channels.take()).channel);
});

test('a client with a key and a server with certificates do not come together', async () => {
  const destination = await secureDestination({ credentials: await x509('server') });
  await expectDialFails(destination.address, securely(await psk('client', KEY)), 'ERR_TLS');
  expect((await destination.refused.take()).code).toBe('ERR_TLS');
});

test('TLS 1.1 is not spoken', async () => {
  const destination = await secureDestination({ credentials: await x509('server') });
  const { host, port } = destination.address as { host: string; port: number };
  const options = {
    minVersion: 'TLSv1',
    maxVersion: 'TLSv1.1',
    ciphers: 'ALL@SECLEVEL=0',
  } as const;
  const old = tlsConnect({ host, port, ...options, ca: authority.cert });
  const [error] = (await within('a refusal', once(old, 'error'))) as [Error];
  expect(error.message).toMatch(/protocol version/);
  expect((await destination.refused.take()).code).toBe('ERR_TLS');
});

test('a unix socket has no host: a certificate cannot be checked until somebody says what it must name', async () => {
  const address = parseAddress(`unix:${newPath('godwit.sock')}`);
  const credentials = await x509('server');
  await Destination.open(address, undefined, () => ({ credentials }));
  const wrong = securely(await x509('client'));
  await expectDialFails(address, wrong, 'ERR_TLS', 'No hostname for certificate validation');
});

test('a plain peer at a TLS listener is refused when its time is over, and is told what it may lack', async () => {
  const destination = await secureDestination({ credentials: await x509('server') }, 300);
  await expectDialFails(destination.address, {}, 'ERR_CLOSED', 'tls-creds');
  expect((await destination.refused.take()).code).toBe('ERR_TIMEOUT');
});

test('whoever speaks at a TLS listener, but not TLS, is refused at once', async () => {
  const destination = await secureDestination({ credentials: await x509('server') });
  const socket = await rawClient(destination.address);
  socket.resume();
  socket.write('GODWIT\r\n');
  await within('the end', once(socket, 'close'));
  expect((await destination.refused.take()).message).toBe('the other side does not speak TLS');
});

test('a TLS peer at a plain listener is refused at once, and both are told why', async () => {
  const destination = await Destination.open(loopback);
  const wrong = securely(await x509('client'));
  await expectDialFails(destination.address, wrong, 'ERR_TLS', 'does not speak TLS');
  expect((await destination.refused.take()).message).toMatch(/the other side speaks TLS/);
});

test.each<[string, boolean, ChannelErrorCode]>([
  ['time is over', false, 'ERR_TIMEOUT'],
  ['it is given up', true, 'ERR_ABORTED'],
])(
  'a handshake that hangs ends when %s, and leaves nothing open',
  async (_why, isGivenUp, code) => {
    const given = new AbortController();
    const silent = await rawServer(loopback, (socket) => {
      socket.once('data', () => isGivenUp && given.abort()); // its first word of TLS is here
    });
    const before = socketCount();
    const options = isGivenUp ? { signal: given.signal } : { timeoutMillis: 200 };
    const secure = { ...securely(await x509('client')), ...options };
    await expectDialFails(silent.address, secure, code);
    await silent.close();
    await until('no more sockets than before', () => socketCount() < before);
  },
);

test('a handshake that hangs at the listener ends when time is over', async () => {
  const destination = await secureDestination({ credentials: await x509('server') }, 300);
  const socket = await rawClient(destination.address);
  socket.resume();
  socket.write(Buffer.from('160301020001', 'hex'));
  await within('the end', once(socket, 'close'));
  expect((await destination.refused.take()).code).toBe('ERR_TIMEOUT');
});

test('nothing that is sent can be read on the wire', async () => {
  const destination = await secureDestination({ credentials: await x509('server') });
  const target = destination.address as { host: string; port: number };
  const seen: Buffer[] = [];
  const relay = await rawServer(loopback, (socket) => {
    const onward = relayTo(target);
    for (const [from, to] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      from.on('data', (chunk: Buffer) => {
        seen.push(chunk);
        to.write(chunk);
      });
      from.on('close', () => to.destroy());
    }
  });
  const channel = await dialOwned(relay.address, securely(await x509('client')));
  await expectLinked(channel, (await destination.channels.take()).channel);
  const all = Buffer.concat(seen);
  expect(all.byteLength).toBeGreaterThan(10_000);
  expect(all.includes('GODWIT')).toBe(false);
});

function relayTo({ host, port }: { host: string; port: number }): Socket {
  const socket = netConnect({ host, port });
  socket.on('error', () => undefined);
  onTestFinished(() => void socket.destroy());
  return socket;
}

test('with security that cannot be had no connection is taken, and none is taken without', async () => {
  const destination = await Destination.open(loopback, undefined, () => {
    throw new ChannelError('ERR_CREDENTIALS', "No TLS credentials with id 'tls0'");
  });
  const socket = await rawClient(destination.address);
  socket.resume();
  await within('the end', once(socket, 'close'));
  expect(socket.bytesRead).toBe(0);
  expect((await destination.refused.take()).code).toBe('ERR_CREDENTIALS');
});

/** Nothing to read, and nothing will come: a read returns 0 instead of waiting. */
function isAtEnd(descriptor: number): boolean {
  poll ??= new PollSet(1);
  poll.set(0, descriptor, POLLIN);
  return poll.poll(0, 1) > 0 && pendingBytes(descriptor) === 0;
}

let poll: PollSet | undefined;
