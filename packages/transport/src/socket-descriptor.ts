import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { ChannelError } from './errors.ts';

/**
 * Node offers no public way to give a connected socket's descriptor away (nodejs/node#6294); `_handle.fd`
 * has been stable since 0.x, and the assertion says so the day it is not.
 *
 * @throws {ChannelError} `ERR_CLOSED`.
 */
export function descriptorOf(socket: Socket): number {
  const handle = (socket as unknown as { _handle: { fd?: number } | null })._handle;
  if (handle === null) throw new ChannelError('ERR_CLOSED', 'the other side closed the connection');
  assert(typeof handle.fd === 'number' && handle.fd >= 0);
  return handle.fd;
}
