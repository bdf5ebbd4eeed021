import { EAGAIN, SystemError } from './errors.ts';
import { tryRead, tryWrite } from './io.ts';
import { check, declare } from './libc.ts';
import { StructMemory } from './struct-memory.ts';

const libcEventfd = declare('eventfd', 'int', ['uint32_t', 'int']);

const EFD_CLOEXEC = 0o2000000;
const EFD_NONBLOCK = 0o4000;
const COUNTER_BYTES = 8;

// Overwritten by every call, so nothing is kept between them; each thread loads a copy of its own.
const one = new StructMemory(COUNTER_BYTES);
one.writeU64(0, 1);
const drained = new StructMemory(COUNTER_BYTES);

/**
 * A flag that one thread raises and another waits for with `PollSet`.
 *
 * @throws {SystemError} `EMFILE`, `ENFILE`.
 */
export function createEventfd(): number {
  return check(libcEventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), 'eventfd');
}

/** Makes the descriptor readable; a flag already raised stays so. */
export function signalEventfd(fd: number): void {
  const result = tryWrite(fd, one.address, COUNTER_BYTES);
  // EAGAIN: the counter is at its maximum, so the flag is raised.
  if (result < 0 && result !== -EAGAIN) throw new SystemError(-result, 'write');
}

/** Lowers the flag. @returns whether it was raised. */
export function drainEventfd(fd: number): boolean {
  const result = tryRead(fd, drained.address, COUNTER_BYTES);
  if (result < 0 && result !== -EAGAIN) throw new SystemError(-result, 'read');
  return result > 0;
}
