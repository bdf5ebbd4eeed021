import assert from 'node:assert/strict';
import { EINTR, SystemError } from './errors.ts';
import { declare, lastErrno } from './libc.ts';
import { StructMemory } from './struct-memory.ts';

const libcPoll = declare('poll', 'int', ['uintptr_t', 'ulong', 'int']);

export const POLLIN = 0x001;
export const POLLOUT = 0x004;
/** Reported unasked, as `POLLHUP` and `POLLNVAL`. */
export const POLLERR = 0x008;
export const POLLHUP = 0x010;
export const POLLNVAL = 0x020;
/** The peer sends nothing more, whatever of it is still unread. */
export const POLLRDHUP = 0x2000;

/**
 * What follows is one `struct pollfd`.
 *
 *     0     4        6         8
 *     | fd  | events | revents |
 *     | i32 | u16    | u16     |
 */
const POLLFD_BYTES = 8;

/** Descriptors to wait for together; it is filled once and polled many times. */
export class PollSet {
  readonly capacity: number;
  readonly #memory: StructMemory;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.#memory = new StructMemory(capacity * POLLFD_BYTES);
    for (let index = 0; index < capacity; index += 1) this.set(index, -1, 0);
  }

  /** @param fd -1 leaves the place empty. */
  set(index: number, fd: number, events: number): void {
    assert.ok(index >= 0 && index < this.capacity);
    this.#memory.i32[index * 2] = fd;
    this.#memory.u16[index * 4 + 2] = events;
    this.#memory.u16[index * 4 + 3] = 0;
  }

  /**
   * Blocks the thread until one of the first `count` descriptors is ready.
   *
   * @param timeoutMillis -1 waits without limit.
   * @returns how many are ready; 0 after the timeout, and after a signal.
   */
  poll(timeoutMillis: number, count: number): number {
    assert.ok(count >= 0 && count <= this.capacity);
    const ready = libcPoll(this.#memory.address, count, timeoutMillis);
    if (ready >= 0) return ready;
    const errno = lastErrno();
    if (errno !== EINTR) throw new SystemError(errno, 'poll');
    // The kernel left the results of the poll before: nothing is ready now.
    for (let index = 0; index < count; index += 1) this.#memory.u16[index * 4 + 3] = 0;
    return 0;
  }

  /** The events of the last `poll`. */
  revents(index: number): number {
    assert.ok(index >= 0 && index < this.capacity);
    return this.#memory.u16[index * 4 + 3] ?? 0;
  }
}
