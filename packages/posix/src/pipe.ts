import { check, declare } from './libc.ts';
import { StructMemory } from './struct-memory.ts';

const libcPipe2 = declare('pipe2', 'int', ['uintptr_t', 'int']);

const O_CLOEXEC = 0o2000000;

/** The two ends of a pipe, blocking; not inherited by programs that this process starts. */
export interface Pipe {
  readonly reader: number;
  readonly writer: number;
}

/** @throws {SystemError} `EMFILE`, `ENFILE`. */
export function createPipe(): Pipe {
  const ends = new StructMemory(8);
  // The kernel writes two ints, the reader first, and keeps no address.
  check(libcPipe2(ends.address, O_CLOEXEC), 'pipe2');
  const [reader = -1, writer = -1] = ends.u32;
  return { reader, writer };
}
