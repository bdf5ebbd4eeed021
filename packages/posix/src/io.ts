import assert from 'node:assert/strict';
import { EINTR, SystemError } from './errors.ts';
import { check, declare, lastErrno } from './libc.ts';
import { StructMemory } from './struct-memory.ts';

/*
 * I/O between descriptors and mapped memory. On a blocking descriptor a call blocks its whole
 * thread: it is for Workers, and not even `worker.terminate()` interrupts it; end it by
 * `shutdownSocket`, or wait with a `PollSet` first. No write raises SIGPIPE: Node ignores that
 * signal for the process from its start, so a peer that left is `EPIPE`.
 */

type Transfer = (fd: number, address: number, length: number) => number;

const libcRead = declare('read', 'intptr_t', ['int', 'uintptr_t', 'size_t']);
const libcWrite = declare('write', 'intptr_t', ['int', 'uintptr_t', 'size_t']);
const libcReadv = declare('readv', 'intptr_t', ['int', 'uintptr_t', 'int']);
const libcWritev = declare('writev', 'intptr_t', ['int', 'uintptr_t', 'int']);
const libcRecv = declare('recv', 'intptr_t', ['int', 'uintptr_t', 'size_t', 'int']);
const libcOpen = declare('open', 'int', ['str', 'int', 'uint32_t']);
const libcClose = declare('close', 'int', ['int']);
const libcFcntl = declare('fcntl', 'int', ['int', 'int', 'long']);

const O_CLOEXEC = 0o2000000;
const O_NONBLOCK = 0o4000;
const MSG_DONTWAIT = 0x40;
const F_GETFL = 3;
const F_SETFL = 4;
const F_DUPFD_CLOEXEC = 1030;

/** IOV_MAX of Linux: the most ranges one call takes. */
const IO_RANGES_MAX = 1024;
const IOVEC_BYTES = 16;

/**
 * Reads what there is, up to `byteLength` bytes.
 *
 * @returns the bytes read; 0 at the end of the stream.
 * @throws {SystemError} `EAGAIN` on a non-blocking descriptor with nothing to read; `ECONNRESET`, …
 */
export function read(fd: number, address: number, byteLength: number): number {
  return checkNegative(tryRead(fd, address, byteLength), 'read');
}

/** @returns the bytes written, at least one. @throws {SystemError} `EAGAIN`, `EPIPE`, … */
export function write(fd: number, address: number, byteLength: number): number {
  return checkNegative(tryWrite(fd, address, byteLength), 'write');
}

/** As `read`, into the first `count` ranges of a vector, or those from `first` on. */
export function readv(fd: number, vector: IoVector, count: number, first = 0): number {
  return checkNegative(tryReadv(fd, vector, count, first), 'readv');
}

/** As `write`, from the first `count` ranges of a vector, or those from `first` on. */
export function writev(fd: number, vector: IoVector, count: number, first = 0): number {
  return checkNegative(tryWritev(fd, vector, count, first), 'writev');
}

/** As `read`, for loops: a failure is a negative errno, not an exception. */
export function tryRead(fd: number, address: number, byteLength: number): number {
  return retry(libcRead, fd, address, byteLength);
}

/**
 * As `tryRead` from a socket, without blocking even where the descriptor would.
 *
 * @returns `-EAGAIN` when there is nothing to read now.
 */
export function tryReceive(fd: number, address: number, byteLength: number): number {
  for (;;) {
    const result = libcRecv(fd, address, byteLength, MSG_DONTWAIT);
    if (result >= 0) return result;
    const errno = lastErrno();
    if (errno !== EINTR) return -errno;
  }
}

/** As `write`, for loops: a failure is a negative errno, not an exception. */
export function tryWrite(fd: number, address: number, byteLength: number): number {
  return retry(libcWrite, fd, address, byteLength);
}

/** As `readv`, for loops: a failure is a negative errno, not an exception. */
export function tryReadv(fd: number, vector: IoVector, count: number, first = 0): number {
  assert.ok(first >= 0 && first + count <= vector.capacity);
  return retry(libcReadv, fd, vector.address + first * IOVEC_BYTES, count);
}

/** As `writev`, for loops: a failure is a negative errno, not an exception. */
export function tryWritev(fd: number, vector: IoVector, count: number, first = 0): number {
  assert.ok(first >= 0 && first + count <= vector.capacity);
  return retry(libcWritev, fd, vector.address + first * IOVEC_BYTES, count);
}

/**
 * Reads exactly `byteLength` bytes from a blocking descriptor, or up to the end of the stream.
 *
 * @returns the bytes read: fewer than asked only at the end of the stream.
 * @throws {SystemError} how many bytes were read before is lost.
 */
export function readFully(fd: number, address: number, byteLength: number): number {
  let done = 0;
  while (done < byteLength) {
    const count = read(fd, address + done, byteLength - done);
    if (count === 0) break;
    done += count;
  }
  return done;
}

/**
 * Writes exactly `byteLength` bytes to a blocking descriptor.
 *
 * @throws {SystemError} how many bytes were written before is lost.
 */
export function writeFully(fd: number, address: number, byteLength: number): void {
  for (let done = 0; done < byteLength;) {
    done += write(fd, address + done, byteLength - done);
  }
}

/** Ranges of memory that one call reads into or writes from, in order: `struct iovec[]`. */
export class IoVector {
  readonly capacity: number;
  /** Of the array; valid while this object is reachable. */
  readonly address: number;
  readonly #memory: StructMemory;

  /** @param capacity ranges, at most 1024. */
  constructor(capacity: number) {
    assert.ok(capacity > 0 && capacity <= IO_RANGES_MAX, `${capacity} ranges`);
    this.capacity = capacity;
    this.#memory = new StructMemory(capacity * IOVEC_BYTES);
    this.address = this.#memory.address;
  }

  set(index: number, address: number, byteLength: number): void {
    assert.ok(index >= 0 && index < this.capacity);
    this.#memory.writeU64(index * IOVEC_BYTES, address);
    this.#memory.writeU64(index * IOVEC_BYTES + 8, byteLength);
  }

  /**
   * Takes away what a call moved, so that the next call continues there.
   *
   * @param first where that call started.
   * @returns where the next call starts; the index after the last range once all is moved.
   */
  advance(first: number, byteLength: number): number {
    let index = first;
    for (let left = byteLength; index < this.capacity; index += 1) {
      const address = this.#memory.readU64(index * IOVEC_BYTES);
      const length = this.#memory.readU64(index * IOVEC_BYTES + 8);
      if (left < length) {
        this.set(index, address + left, length - left);
        break;
      }
      left -= length;
    }
    return index;
  }
}

/** @throws {SystemError} `ENOENT`, `EACCES`, `EPERM`, … */
export function openFile(path: string, flags: number): number {
  return check(libcOpen(path, flags | O_CLOEXEC, 0), `open ${path}`);
}

/** @throws {SystemError} `EBADF`: closed already, so perhaps another's descriptor by now. */
export function closeDescriptor(fd: number): void {
  // After EINTR Linux has closed it all the same; closing again could hit another's descriptor.
  if (libcClose(fd) < 0 && lastErrno() !== EINTR) throw new SystemError(lastErrno(), 'close');
}

/** A second descriptor of the same open file, closed on its own; no child process inherits it. */
export function duplicateDescriptor(fd: number): number {
  return check(libcFcntl(fd, F_DUPFD_CLOEXEC, 0), 'fcntl');
}

/** Holds for the open file: for every duplicate of the descriptor as well. */
export function setBlocking(fd: number, blocking: boolean): void {
  const flags = check(libcFcntl(fd, F_GETFL, 0), 'fcntl');
  const wanted = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
  if (wanted !== flags) check(libcFcntl(fd, F_SETFL, wanted), 'fcntl');
}

function retry(transfer: Transfer, fd: number, address: number, length: number): number {
  for (;;) {
    const result = transfer(fd, address, length);
    if (result >= 0) return result;
    const errno = lastErrno();
    if (errno !== EINTR) return -errno;
  }
}

function checkNegative(result: number, syscall: string): number {
  if (result < 0) throw new SystemError(-result, syscall);
  return result;
}
