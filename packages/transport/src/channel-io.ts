import {
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLRDHUP,
  PollSet,
  SystemError,
  tryRead,
  tryReceive,
  tryWrite,
  tryWritev,
} from '@godwit/posix';
import { ChannelError } from './errors.ts';
import type { FrameBatch } from './framing/frame-batch.ts';
import type { ByteSource } from './framing/frame-reader.ts';

/** Blocking reads of a channel's descriptor; a broken link is its end with a reason. */
export function channelSource(descriptor: number): ByteSource {
  return (address, byteLength) => {
    const bytes = tryRead(descriptor, address, byteLength);
    if (bytes < 0) throw broken(-bytes, 'read');
    return bytes;
  };
}

/** errno of a read that would have to wait. */
const EAGAIN = 11;

/**
 * As `channelSource`, for a socket that another thread writes to: it waits in poll(2). A thread that
 * waits in read(2) on a Unix socket is woken in vain whenever the peer takes what the other one wrote,
 * since there both wait in one queue and only poll looks at what the wake-up is for.
 */
export function pollingSource(descriptor: number): ByteSource {
  const poll = new PollSet(1);
  poll.set(0, descriptor, POLLIN);
  return (address, byteLength) => {
    for (;;) {
      const bytes = tryReceive(descriptor, address, byteLength);
      if (bytes >= 0) return bytes;
      if (bytes !== -EAGAIN) throw broken(-bytes, 'recv');
      poll.poll(-1, 1);
    }
  };
}

/** Has the peer ended the connection, though what it sent before may be unread? Does not wait. */
export function hasPeerLeft(descriptor: number): boolean {
  const poll = new PollSet(1);
  poll.set(0, descriptor, POLLRDHUP);
  poll.poll(0, 1);
  return (poll.revents(0) & (POLLRDHUP | POLLHUP | POLLERR)) !== 0;
}

/** Writes all of it, blocking. @throws {ChannelError} `ERR_CLOSED`: an unknown part has left. */
export function writeBytes(descriptor: number, address: number, byteLength: number): void {
  for (let done = 0; done < byteLength;) {
    const bytes = tryWrite(descriptor, address + done, byteLength - done);
    if (bytes < 0) throw broken(-bytes, 'write');
    done += bytes;
  }
}

/** Writes the batch, blocking, and clears it. @throws {ChannelError} `ERR_CLOSED`, as `writeBytes`. */
export function writeBatch(descriptor: number, batch: FrameBatch): void {
  const { vector, ranges } = batch;
  for (let first = 0, left = batch.byteLength; left > 0;) {
    const bytes = tryWritev(descriptor, vector, ranges - first, first);
    if (bytes < 0) throw broken(-bytes, 'writev');
    left -= bytes;
    if (left > 0) first = vector.advance(first, bytes);
  }
  batch.clear();
}

function broken(errno: number, syscall: string): ChannelError {
  const cause = new SystemError(errno, syscall);
  return new ChannelError('ERR_CLOSED', `the link broke: ${cause.message}`, { cause });
}
