import { check, declare } from './libc.ts';

const libcMemfdCreate = declare('memfd_create', 'int', ['str', 'uint32_t']);
const libcFtruncate = declare('ftruncate', 'int', ['int', 'int64_t']);

const MFD_CLOEXEC = 1;

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
