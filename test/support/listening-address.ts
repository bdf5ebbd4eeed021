import assert from 'node:assert/strict';
import type { GuestProcess } from './guest-process.ts';

interface SocketAddress {
  readonly type: 'unix' | 'inet';
  readonly path?: string;
  readonly host?: string;
  readonly port?: string;
}

/** Where a destination listens, with the port that the system chose. */
export async function listeningAddress(guest: GuestProcess): Promise<string> {
  const info = await guest.execute<{ 'socket-address'?: SocketAddress[] }>('query-migrate');
  const address = info['socket-address']?.[0];
  assert(address !== undefined, `${guest.name} does not say where it listens`);
  if (address.type === 'unix') return `unix:${address.path}`;
  return `tcp:${address.host}:${address.port}`;
}
