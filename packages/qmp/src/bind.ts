import { once } from 'node:events';
import type { Server } from 'node:net';

import { messageOf, QmpSocketError } from './errors.ts';

/**
 * Listens, or says why not.
 *
 * @param address as the user wrote it, for the message.
 * @throws {QmpSocketError} `ERR_ADDRESS_IN_USE`, `ERR_LISTEN`.
 */
export async function bind(
  server: Server,
  where: { readonly host: string; readonly port: number } | { readonly path: string },
  address: string,
): Promise<void> {
  try {
    server.listen(where);
    await once(server, 'listening');
  } catch (error) {
    throw cannotListen(address, error);
  }
  // From here on an error is one accept that failed (out of descriptors, mostly): that client is
  // gone, the process and its guest must not be.
  server.on('error', () => undefined);
}

export function cannotListen(address: string, cause: unknown): QmpSocketError {
  const inUse = cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE';
  const code = inUse ? 'ERR_ADDRESS_IN_USE' : 'ERR_LISTEN';
  return new QmpSocketError(code, `cannot listen on ${address}: ${messageOf(cause)}`, { cause });
}
