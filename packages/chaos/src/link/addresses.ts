import { once } from 'node:events';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { type Address, formatAddress, parseAddress } from '@godwit/transport';

export type Transport = 'unix' | 'tcp';

let socketsNamed = 0;

/** Where to listen: a socket file of its own in `directory`, or a port that the system chooses. */
export function anyAddress(transport: Transport, directory: string): string {
  if (transport === 'tcp') return 'tcp:127.0.0.1:0';
  socketsNamed += 1;
  return `unix:${join(directory, `l${socketsNamed}.sock`)}`;
}

/** @returns the address listened on, with its port. */
export async function listenOn(server: Server, uri: string): Promise<Address> {
  const address = parseAddress(uri);
  server.listen(address.type === 'unix' ? { path: address.path } : address);
  await once(server, 'listening');
  const bound = server.address();
  if (address.type === 'unix' || bound === null || typeof bound === 'string') return address;
  return { ...address, port: bound.port };
}

/** What `node:net` connects to. */
export function connectOptions(
  uri: string,
): { path: string } | { host: string; port: number; noDelay: true } {
  const address = parseAddress(uri);
  return address.type === 'unix'
    ? { path: address.path }
    : { host: address.host, port: address.port, noDelay: true };
}

/** What query-migrate says of where it listens, as `migrate` takes it. */
export function uriOf(address: {
  readonly type: string;
  readonly path?: string;
  readonly host?: string;
  readonly port?: string | number;
}): string {
  const { type, path = '', host = '', port = 0 } = address;
  return formatAddress(
    type === 'unix' ? { type, path } : { type: 'tcp', host, port: Number(port) },
  );
}
