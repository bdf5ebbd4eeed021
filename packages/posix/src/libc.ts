import assert from 'node:assert/strict';
import koffi from 'koffi';
import { SystemError } from './errors.ts';

/**
 * The types of libc this package speaks in, and what each is in JavaScript. Pointers are
 * `uintptr_t`: an address is then a plain number (user addresses stay below 2^47) and a call
 * allocates nothing.
 */
interface CTypes {
  int: number;
  uint32_t: number;
  int64_t: number;
  long: number;
  ulong: number;
  size_t: number;
  intptr_t: number;
  uintptr_t: number;
  str: string;
  void: undefined;
}
type CType = keyof CTypes;

/** Handle on the libc that Node itself is linked with, glibc or musl; undefined off Linux. */
const libc = process.platform === 'linux' ? koffi.load(null) : undefined;

/**
 * Declares a function of libc. Where the host lacks it the import still succeeds, and the call throws.
 *
 * Variadic functions (`ioctl`, `fcntl`, `syscall`, …) are declared with the arguments they are
 * given: on Linux, x86-64 and arm64 alike, integers travel the same way to both kinds.
 */
export function declare<Result extends CType, const Parameters extends readonly CType[]>(
  name: string,
  result: Result,
  parameters: Parameters,
): (...values: { [Index in keyof Parameters]: CTypes[Parameters[Index]] }) => CTypes[Result] {
  if (libc === undefined) return missing(`${name} needs Linux; this is ${process.platform}`);
  try {
    // Untyped by koffi; it converts by the same C types as `CTypes`, and integers of 64 bits come
    // back as numbers up to 2^53, which sizes, offsets and addresses never pass.
    return libc.func(name, result, [...parameters]);
  } catch {
    return missing(`this libc has no ${name}`);
  }
}

/**
 * Declares a raw system call of one argument, for what libc has no wrapper of.
 *
 * @param numbers its number by `process.arch`.
 */
export function declareSyscall(
  name: string,
  numbers: Readonly<Record<string, number>>,
): (argument: number) => number {
  const number = numbers[process.arch];
  if (number === undefined) return missing(`${name}: no system call number on ${process.arch}`);
  const syscall = declare('syscall', 'long', ['long', 'long']);
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

function missing(reason: string): () => never {
  return () => {
    throw new Error(reason);
  };
}
