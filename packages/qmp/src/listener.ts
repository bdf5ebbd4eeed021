import { lookup } from 'node:dns/promises';
import { BlockList, createServer, type Server, type Socket } from 'node:net';

import { formatAddress, parseAddress } from '@godwit/transport';

import { bind } from './bind.ts';
import { messageOf, QmpSocketError } from './errors.ts';
import { listenOnPath } from './unix-listener.ts';

/** Connections at once on one address; more are closed as they come. */
export const CLIENTS_MAX = 64;

/** An address that is listened on. */
export interface Listener {
  /** With the real port. */
  readonly address: string;
  /** Accepts no more, and removes the socket file; connections stay. */
  stop(): Promise<void>;
}

/**
 * @param onSocket owns each socket from then on; half-open ones too, so that a client may close
 *   its sending side and still read its replies.
 * @throws {ChannelError} `ERR_ADDRESS`: not an address.
 * @throws {QmpSocketError} `ERR_NOT_LOOPBACK`, `ERR_ADDRESS_IN_USE`, `ERR_LISTEN`.
 */
export async function listenOn(
  address: string,
  onSocket: (socket: Socket, transport: 'tcp' | 'unix') => void,
): Promise<Listener> {
  const parsed = parseAddress(address);
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
    onSocket(socket, parsed.type),
  );
  server.maxConnections = CLIENTS_MAX;
  if (parsed.type === 'unix') {
    const removeFile = await listenOnPath(server, parsed.path);
    return { address, stop: () => stop(server, removeFile) };
  }
  const host = await resolveLoopback(parsed.host, address);
  await bind(server, { host, port: parsed.port }, address);
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : parsed.port;
  return {
    address: formatAddress({ type: 'tcp', host, port }),
    stop: () => stop(server, () => Promise.resolve()),
  };
}

async function stop(server: Server, removeFile: () => Promise<void>): Promise<void> {
  // Not its callback: that one waits for the connections, which are others' business.
  server.close();
  await removeFile();
}

/**
 * Whoever reaches QMP owns the guest, and nothing here is encrypted or proven: it stays on this
 * machine. A name is resolved once and the result is what gets bound.
 */
async function resolveLoopback(host: string, address: string): Promise<string> {
  const resolved = host === '' ? '0.0.0.0' : await resolve(host, address);
  if (isLoopback(resolved)) return resolved;
  throw new QmpSocketError(
    'ERR_NOT_LOOPBACK',
    `cannot listen on ${address}: QMP is not encrypted and may only be reached from this machine; ` +
      'use tcp:127.0.0.1:PORT or unix:PATH',
  );
}

async function resolve(host: string, address: string): Promise<string> {
  try {
    return (await lookup(host)).address;
  } catch (error) {
    throw new QmpSocketError('ERR_LISTEN', `cannot listen on ${address}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function isLoopback(ip: string): boolean {
  const loopback = new BlockList();
  loopback.addSubnet('127.0.0.0', 8, 'ipv4');
  loopback.addAddress('::1', 'ipv6');
  return loopback.check(ip, ip.includes(':') ? 'ipv6' : 'ipv4');
}
