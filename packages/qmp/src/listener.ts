import { lookup } from 'node:dns/promises';
import { BlockList, createServer, type Socket } from 'node:net';

import { formatAddress, type ListenSecurity, parseAddress } from '@godwit/transport';

import { bind } from './bind.ts';
import { messageOf, QmpSocketError } from './errors.ts';
import { createDoor, type Door } from './tls-door.ts';
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

export interface ListenOptions {
  /** Every client proves who it is, and nothing is in the clear. */
  readonly security?: ListenSecurity | undefined;
  /** Other machines may reach it in the clear: whoever says so has secured the network otherwise. */
  readonly insecure?: boolean | undefined;
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
  options: ListenOptions = {},
): Promise<Listener> {
  const parsed = parseAddress(address);
  const door = newDoor(options.security, (socket) => onSocket(socket, parsed.type));
  const { server } = door;
  if (parsed.type === 'unix') {
    const removeFile = await listenOnPath(server, parsed.path);
    return { address, stop: () => stop(door, removeFile) };
  }
  const mayBeRemote = options.security !== undefined || options.insecure === true;
  const host = await resolveHost(parsed.host, address, mayBeRemote);
  await bind(server, { host, port: parsed.port }, address);
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : parsed.port;
  return {
    address: formatAddress({ type: 'tcp', host, port }),
    stop: () => stop(door, () => Promise.resolve()),
  };
}

async function stop(door: Door, removeFile: () => Promise<void>): Promise<void> {
  // Not its callback: that one waits for the connections, which are others' business.
  door.server.close();
  door.close();
  await removeFile();
}

function newDoor(security: ListenSecurity | undefined, onSocket: (socket: Socket) => void): Door {
  if (security !== undefined) return createDoor(security, CLIENTS_MAX, onSocket);
  const server = createServer({ allowHalfOpen: true, noDelay: true }, onSocket);
  server.maxConnections = CLIENTS_MAX;
  return { server, close: () => undefined };
}

/**
 * Whoever reaches QMP owns the guest: where nothing is encrypted or proven it stays on this machine,
 * unless that is asked for in so many words. A name is resolved once and the result is what gets bound.
 */
async function resolveHost(host: string, address: string, mayBeRemote: boolean): Promise<string> {
  const resolved = host === '' ? '0.0.0.0' : await resolve(host, address);
  if (mayBeRemote || isLoopback(resolved)) return resolved;
  throw new QmpSocketError(
    'ERR_NOT_LOOPBACK',
    `cannot listen on ${address}: QMP is not encrypted and may only be reached from this machine; ` +
      'use tcp:127.0.0.1:PORT or unix:PATH, or TLS (tls-creds=ID), or say insecure=on',
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
