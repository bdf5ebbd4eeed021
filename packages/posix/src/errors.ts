import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';

/**
 * A system call that failed, in the shape of Node's own system errors, except that `errno` is
 * positive as in `errno(3)`. Callers match on `code`, never on text.
 */
export class SystemError extends Error {
  override readonly name = 'SystemError';
  /** The symbol, as in `EAGAIN`; `ERRNO_n` for a number that neither libuv nor Node names. */
  readonly code: string;
  /** The positive number, as libc leaves it. */
  readonly errno: number;
  readonly syscall: string;

  constructor(errno: number, syscall: string) {
    const [code, text] = describeErrno(errno);
    super(`${code}: ${text}, ${syscall}`);
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
  }
}

/**
 * The symbol and the text of an error number, in libuv's words where it has them.
 *
 * @param errno positive, as in `errno(3)`.
 */
export function describeErrno(errno: number): [code: string, text: string] {
  const known = getSystemErrorMap().get(-errno);
  if (known !== undefined) return known;
  const named = Object.entries(constants.errno).find(([, value]) => value === errno);
  return [named?.[0] ?? `ERRNO_${errno}`, 'unknown error'];
}

/** The error numbers this package decides on; the same on every Linux architecture. */
export const EPERM = 1;
export const EINTR = 4;
export const ENXIO = 6;
export const EAGAIN = 11;
export const EINVAL = 22;
export const ENOTTY = 25;
export const ENOSYS = 38;
export const ENOTCONN = 107;
