import { EAGAIN } from './errors.ts';
import { check, declare, lastErrno } from './libc.ts';

const libcFlock = declare('flock', 'int', ['int', 'int']);

const LOCK_EX = 2;
const LOCK_NB = 4;

/**
 * Locks a file for whoever opened it by this descriptor, until that is closed or the process ends by
 * whatever way. Only those are kept away who ask as well.
 *
 * @returns false when another has it. @throws {SystemError} a file that cannot be locked.
 */
export function tryLockFile(fd: number): boolean {
  const result = libcFlock(fd, LOCK_EX | LOCK_NB);
  if (result < 0 && lastErrno() === EAGAIN) return false;
  check(result, 'flock');
  return true;
}
