import { createRequire } from 'node:module';
import type Koffi from 'koffi';
import { ENOSYS, SystemError } from './errors.ts';

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

const ffi = loadFfi();

/**
 * Declares a function of libc. Where the host lacks it, the call throws, not the import.
 *
 * Variadic functions (`ioctl`, `fcntl`, `syscall`, …) are declared with the arguments they are
 * given: on Linux, x86-64 and arm64 alike, integers travel the same way to both kinds.
 */
export function declare<Result extends CType, const Parameters extends readonly CType[]>(
  name: string,
  result: Result,
  parameters: Parameters,
): (...values: { [Index in keyof Parameters]: CTypes[Parameters[Index]] }) => CTypes[Result] {
  if (typeof ffi === 'string') return missing(`${name}: ${ffi}`);
  try {
    // Untyped by koffi; it converts by the same C types as `CTypes`, and integers of 64 bits come
    // back as numbers up to 2^53, which sizes, offsets and addresses never pass.
    return ffi.libc.func(name, result, [...parameters]);
  } catch {
    return missing(`${name}: this libc has no such function`);
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
  if (typeof ffi === 'string') return missing(`${name}: ${ffi}`);
  const number = numbers[process.arch];
  if (number === undefined) return missing(`${name}: no system call number on ${process.arch}`);
  const syscall = declare('syscall', 'long', ['long', 'long']);
  return (argument) => syscall(number, argument);
}

/** The calling thread's errno. Read it right after the call that failed, before any other. */
export function lastErrno(): number {
  return typeof ffi === 'string' ? ENOSYS : ffi.koffi.errno();
}

/**
 * The result of a call, where -1 means failure.
 *
 * @throws {SystemError} the thread's errno.
 */
export function check(result: number, syscall: string): number {
  if (result < 0) throw new SystemError(lastErrno(), syscall);
  return result;
}

/** An ArrayBuffer over memory that is not JavaScript's; see `viewMemory` for what that demands. */
export function viewNative(address: number, byteLength: number): ArrayBuffer {
  if (typeof ffi === 'string') throw new Error(`view: ${ffi}`);
  return ffi.koffi.view(BigInt(address), byteLength);
}

/** Where the bytes of an ArrayBuffer are; 0 where no system call can be made with it anyway. */
export function addressOf(buffer: ArrayBuffer): number {
  return typeof ffi === 'string' ? 0 : Number(ffi.koffi.address(buffer));
}

/**
 * koffi, and the libc that Node itself is linked with, glibc or musl; or why there is neither.
 * Loaded by hand, because a failed `import` could not be caught: a host without it must still be
 * able to import this package and ask `probeHost`.
 */
function loadFfi(): { koffi: typeof Koffi; libc: ReturnType<typeof Koffi.load> } | string {
  if (process.platform !== 'linux') return `needs Linux, and this is ${process.platform}`;
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi; // its own declarations
    // koffi maps a stack and a heap for each thread that makes calls, 3 MiB unless told otherwise, and
    // does not give them back when a Worker ends (3.3). Our calls need little of either.
    koffi.config({ sync_stack_size: 256 * 1024, sync_heap_size: 64 * 1024 });
    return { koffi, libc: koffi.load(null) };
  } catch (error) {
    return `koffi cannot be loaded: ${String(error)}`;
  }
}

function missing(reason: string): () => never {
  return () => {
    throw new Error(reason);
  };
}
