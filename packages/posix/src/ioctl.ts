import { check, declare } from './libc.ts';

const ioctl = declare('ioctl', 'int', ['int', 'ulong', 'uintptr_t']);

/** -1 on failure, with the reason in errno: for callers that loop. */
export const tryIoctl = ioctl;

/** @throws {SystemError} with `name` as its `syscall`. */
export function checkIoctl(name: string, fd: number, request: number, argument: number): number {
  return check(ioctl(fd, request, argument), name);
}

/**
 * The number of an ioctl, by the direction its argument travels.
 *
 * @see Linux include/uapi/asm-generic/ioctl.h: direction 2 bits, size 14, type 8, number 8.
 */
export const ioctlNumber = {
  none: (type: number, number: number): number => encode(0, type, number, 0),
  /** `_IOR`: the kernel says it writes the argument. */
  read: (type: number, number: number, byteLength: number): number =>
    encode(2, type, number, byteLength),
  /** `_IOWR`: the kernel reads and writes the argument. */
  readWrite: (type: number, number: number, byteLength: number): number =>
    encode(3, type, number, byteLength),
} as const;

function encode(direction: number, type: number, number: number, byteLength: number): number {
  return ((direction << 30) | (byteLength << 16) | (type << 8) | number) >>> 0;
}
