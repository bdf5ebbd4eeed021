import assert from 'node:assert/strict';
import koffi from 'koffi';
import { SystemError } from './errors.ts';

/**
 * The types of libc this package speaks in. Pointers are `uintptr_t`: an address is then a plain
 * number (user addresses stay below 2^47) and a call allocates nothing.
 */
export type CType =
  | 'int'
  | 'uint32_t'
  | 'int64_t'
  | 'long'
  | 'ulong'
  | 'size_t'
  | 'intptr_t'
  | 'uintptr_t'
  | 'str'
  | 'void';

/** Handle on the libc that Node itself is linked with, glibc or musl; undefined off Linux. */
const libc = process.platform === 'linux' ? koffi.load(null) : undefined;

/**
 * Declares a function of libc. Where the host lacks it the import still succeeds, and the call throws.
 *
 * Variadic functions (`ioctl`, `fcntl`, `syscall`, …) are declared with the arguments they are
 * given: on Linux, x86-64 and arm64 alike, integers travel the same way to both kinds.
 *
 * @typeParam Call what the declaration means in TypeScript; koffi checks arguments when called.
 */
export function declare<Call extends (...values: never[]) => unknown>(
  name: string,
  result: CType,
  parameters: CType[],
): Call {
  if (libc === undefined) return missing(`${name} needs Linux; this is ${process.platform}`);
  try {
    // Safe as long as `Call` says what `result` and `parameters` say: each declaration has them
    // side by side, and integers up to 2^53 come back as numbers.
    return libc.func(name, result, parameters) as unknown as Call;
  } catch {
    return missing(`this libc has no ${name}`);
  }
}

/**
 * Declares a raw system call, for what libc has no wrapper of.
 *
 * @param numbers its number by `process.arch`.
 * @returns a function that takes the arguments after the number.
 */
export function declareSyscall(
  name: string,
  numbers: Readonly<Record<string, number>>,
): (argument: number) => number {
  const number = numbers[process.arch];
  if (number === undefined) return missing(`${name}: no system call number on ${process.arch}`);
  const syscall = declare<(number: number, argument: number) => number>('syscall', 'long', [
    'long',
    'long',
  ]);
  return (argument) => syscall(number, argument);
}

/** The calling thread's errno. Read it right after the call that failed, before any other. */
export function lastErrno(): number {
  return koffi.errno();
}

/**
 * The result of a call, where -1 means failure.
 *
 * @throws {SystemError} the thread's errno.
 */
export function check(result: number, syscall: string): number {
  if (result < 0) throw new SystemError(koffi.errno(), syscall);
  return result;
}

/**
 * Where C puts the fields of a struct, in bytes from its start.
 *
 * @param byteLength the size the kernel's header gives, asserted.
 */
export function layout<Field extends string>(
  byteLength: number,
  fields: Record<Field, string>,
): Readonly<Record<Field, number>> {
  const struct = koffi.struct(fields);
  assert.equal(koffi.sizeof(struct), byteLength, `size of { ${Object.keys(fields).join(', ')} }`);
  const offsets: Partial<Record<Field, number>> = {};
  for (const field in fields) offsets[field] = koffi.offsetof(struct, field);
  return offsets as Record<Field, number>; // every key of `fields` was visited
}

/** An ArrayBuffer over memory that is not JavaScript's; see `viewMemory` for what that demands. */
export function viewNative(address: number, byteLength: number): ArrayBuffer {
  return koffi.view(BigInt(address), byteLength);
}

/** Where the bytes of an ArrayBuffer are; they stay there as long as it is reachable. */
export function addressOf(buffer: ArrayBuffer): number {
  return Number(koffi.address(buffer));
}

function missing<Call>(reason: string): Call {
  const fail = (): never => {
    throw new Error(reason);
  };
  return fail as unknown as Call; // safe: it accepts any arguments and never returns
}
