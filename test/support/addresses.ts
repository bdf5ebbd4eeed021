import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { type Address, formatAddress, parseAddress } from '@godwit/transport';

export type Transport = 'unix' | 'tcp';

/** Both, unless `GODWIT_TRANSPORT` names one, as it does for the fault tests; see vitest.config.ts. */
export const transports: readonly Transport[] = (['unix', 'tcp'] as const).filter((transport) => {
  const only = process.env['GODWIT_TRANSPORT'];
  return only === undefined || only === 'both' || only === transport;
});

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

/** An address where nobody listens, and where nobody else will for a while. */
export async function refusedAddress(transport: Transport, directory: string): Promise<string> {
  const server = createServer();
  const address = await listenOn(server, anyAddress(transport, directory));
  server.close();
  await once(server, 'close');
  return formatAddress(address);
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
