import { randomBytes } from 'node:crypto';
import { dirname } from 'node:path';
import { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import {
  Authority,
  CLIENT_SUBJECT,
  thisHost,
  writePsk,
  writeX509,
  type X509Directory,
} from '../../../test/support/certificates.ts';
import { parseAddress } from '../src/address.ts';
import type { DialOptions } from '../src/dial.ts';
import { loadPsk, loadX509 } from '../src/tls/credential-files.ts';
import type { ListenSecurity, TlsCredentials } from '../src/tls/credentials.ts';
import { clientOptions } from '../src/tls/tls-options.ts';
import { Destination, newPath } from './openings.ts';
import { until } from './resources.ts';

export const loopback = parseAddress('tcp:127.0.0.1:0');
export const KEY = randomBytes(32).toString('hex');

// Issued once for each file of tests.
export const [authority, stranger] = await Promise.all([
  Authority.create('CA'),
  Authority.create('other CA'),
]);
export const [server, client] = await Promise.all([
  authority.issue({ subject: 'CN=localhost', names: thisHost }),
  authority.issue({ subject: CLIENT_SUBJECT }),
]);

export interface Side extends Partial<X509Directory> {
  readonly verifyPeer?: boolean;
  readonly sanityCheck?: boolean;
}

export async function x509(
  endpoint: 'client' | 'server',
  side: Side = {},
): Promise<TlsCredentials> {
  const { verifyPeer = true, sanityCheck = true, ...files } = side;
  const dir = await writeX509(newDirectory(), { authority, server, client, ...files });
  return await loadX509({ dir, endpoint, verifyPeer, sanityCheck });
}

export async function psk(endpoint: 'client' | 'server', key: string): Promise<TlsCredentials> {
  return await loadPsk(await writePsk(newDirectory(), key), endpoint, 'qemu');
}

export async function secureDestination(
  security: ListenSecurity,
  limit?: number,
): Promise<Destination> {
  return await Destination.open(loopback, limit, () => security);
}

export function securely(credentials: TlsCredentials, hostname?: string): Partial<DialOptions> {
  return { security: { credentials, hostname } };
}

/** What a client with a key says first: who says no more leaves the handshake hanging. */
export async function clientHello(): Promise<Buffer> {
  const said: Buffer[] = [];
  const carrier = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _encoding, done) {
      said.push(chunk);
      done();
    },
  });
  const socket = connect({ ...clientOptions(await psk('client', KEY), ''), socket: carrier });
  socket.on('error', () => undefined);
  await until('a first word of TLS', () => said.length > 0);
  socket.destroy();
  return Buffer.concat(said);
}

function newDirectory(): string {
  return dirname(newPath('x'));
}
