import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect as tlsConnect } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { CLIENT_NAME, CLIENT_SUBJECT, thisHost } from '../../../test/support/certificates.ts';
import { parseAddress } from '../src/address.ts';
import { ChannelError } from '../src/errors.ts';
import {
  Destination,
  dialOwned,
  expectDialFails,
  expectLinked,
  newPath,
  rawClient,
} from './openings.ts';
import { within } from './resources.ts';
import {
  authority,
  client,
  KEY,
  loopback,
  psk,
  secureDestination,
  securely,
  type Side,
  stranger,
  x509,
} from './tls-sides.ts';

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
