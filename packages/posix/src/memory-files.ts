import { ENXIO } from './errors.ts';
import { check, declare, lastErrno } from './libc.ts';

const libcMemfdCreate = declare('memfd_create', 'int', ['str', 'uint32_t']);
const libcFtruncate = declare('ftruncate', 'int', ['int', 'int64_t']);

const libcLseek = declare('lseek', 'int64_t', ['int', 'int64_t', 'int']);

const MFD_CLOEXEC = 1;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;

/**
 * Creates a file in memory, of size 0, that lives as long as a descriptor or a mapping of it.
 *
 * @param name shown in `/proc/self/fd`; need not be unique.
 * @throws {SystemError} `EMFILE`, `ENOMEM`, `ENOSYS`.
 */
export function createMemfd(name: string): number {
  return check(libcMemfdCreate(name, MFD_CLOEXEC), 'memfd_create');
}

/** Grows a file with zeros, or cuts it. @throws {SystemError} `EBADF`, `EINVAL`, `EFBIG`. */
export function setFileBytes(fd: number, byteLength: number): void {
  check(libcFtruncate(fd, byteLength), 'ftruncate');
}

/**
 * The parts of a file that were ever written, wherever they are now: in memory, in swap, on disk.
 *
 * @param byteLength of the file; its offset is moved.
 * @throws {SystemError} `EBADF`, `ESPIPE`.
 */
export function* dataRanges(
  fd: number,
  byteLength: number,
): Generator<readonly [start: number, end: number]> {
  for (let at = 0; at < byteLength;) {
    const start = libcLseek(fd, at, SEEK_DATA);
    if (start < 0 && lastErrno() === ENXIO) return; // nothing but a hole up to the end
    check(start, 'lseek SEEK_DATA');
    const end = check(libcLseek(fd, start, SEEK_HOLE), 'lseek SEEK_HOLE');
    yield [start, Math.min(end, byteLength)];
    at = end;
  }
}

/**
 * Is anything of [start, end) in the file, be it zeros? Its offset is moved.
 *
 * @throws {SystemError} `EBADF`, `ESPIPE`.
 */
export function hasData(fd: number, start: number, end: number): boolean {
  const first = libcLseek(fd, start, SEEK_DATA);
  if (first < 0 && lastErrno() === ENXIO) return false; // nothing but a hole up to the end
  return check(first, 'lseek SEEK_DATA') < end;
}
