import { check, declare } from '../libc.ts';
import { PAGEMAP_SCAN } from '../pagemap.ts';
import { EPERM, ENOTTY } from '../errors.ts';
import { StructMemory } from '../struct-memory.ts';
import { USERFAULTFD_IOC_NEW } from '../userfaultfd.ts';

/*
 * For tests: runs a program to which the kernel refuses userfaultfd (the system call and the device
 * alike) and PAGEMAP_SCAN, as in a container or on an older kernel:
 *
 *     node refuse-userfaultfd.js PROGRAM ARGUMENT…
 *
 * A seccomp filter does it, which needs no privilege, and which the program hands on to whatever it
 * starts. This process becomes the program.
 */

const libcPrctl = declare('prctl', 'int', ['int', 'ulong', 'uintptr_t', 'ulong', 'ulong']);
const libcExecve = declare('execve', 'int', ['str', 'uintptr_t', 'uintptr_t']);
const libcFcntl = declare('fcntl', 'int', ['int', 'int', 'int']);

const F_SETFD = 2;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_SET_SECCOMP = 22;
const SECCOMP_MODE_FILTER = 2;
const SECCOMP_RET_ALLOW = 0x7fff0000;
const SECCOMP_RET_ERRNO = 0x00050000;

/** Of `struct seccomp_data`: the number of the system call, and the low half of its second argument. */
const NUMBER = 0;
const SECOND_ARGUMENT = 24;

const numbers: Readonly<Record<string, { readonly userfaultfd: number; readonly ioctl: number }>> =
  {
    x64: { userfaultfd: 323, ioctl: 16 },
    arm64: { userfaultfd: 282, ioctl: 29 },
  };

/** Instructions of classic BPF. @see Linux uapi/linux/bpf_common.h */
const LOAD = 0x20;
const JUMP_IF_EQUAL = 0x15;
const RETURN = 0x06;

/** What the kernel is given addresses of must be reachable until it has looked. */
const kept: StructMemory[] = [];

type Instruction = readonly [
  code: number,
  jumpIfTrue: number,
  jumpIfFalse: number,
  operand: number,
];

const [program, ...programArguments] = process.argv.slice(2);
const known = numbers[process.arch];
if (program === undefined || known === undefined) {
  throw new Error('usage, on x64 or arm64: refuse-userfaultfd.js PROGRAM ARGUMENT…');
}
installFilter([
  [LOAD, 0, 0, NUMBER],
  [JUMP_IF_EQUAL, 5, 0, known.userfaultfd],
  [JUMP_IF_EQUAL, 0, 3, known.ioctl],
  [LOAD, 0, 0, SECOND_ARGUMENT],
  [JUMP_IF_EQUAL, 2, 0, USERFAULTFD_IOC_NEW],
  [JUMP_IF_EQUAL, 2, 0, PAGEMAP_SCAN],
  [RETURN, 0, 0, SECCOMP_RET_ALLOW],
  [RETURN, 0, 0, SECCOMP_RET_ERRNO | EPERM],
  [RETURN, 0, 0, SECCOMP_RET_ERRNO | ENOTTY],
]);
become(program, [program, ...programArguments]);

/** Of this thread, which is the one that stays when the process becomes another program. */
function installFilter(instructions: readonly Instruction[]): void {
  const filter = new StructMemory(instructions.length * 8);
  for (const [index, [code, jumpIfTrue, jumpIfFalse, operand]] of instructions.entries()) {
    filter.u16[index * 4] = code;
    filter.u8[index * 8 + 2] = jumpIfTrue;
    filter.u8[index * 8 + 3] = jumpIfFalse;
    filter.u32[index * 2 + 1] = operand;
  }
  kept.push(filter);
  const fprog = new StructMemory(16); // u16 length, padding, pointer
  fprog.u16[0] = instructions.length;
  fprog.writeU64(8, filter.address);
  kept.push(fprog);
  check(libcPrctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 'prctl');
  check(libcPrctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, fprog.address, 0, 0), 'prctl');
}

function become(path: string, words: readonly string[]): void {
  const environment = Object.entries(process.env).map(([name, value]) => `${name}=${value ?? ''}`);
  const argv = pointersTo(words);
  const envp = pointersTo(environment);
  for (const fd of [0, 1, 2]) libcFcntl(fd, F_SETFD, 0); // Node may have marked them to be closed
  check(libcExecve(path, argv.address, envp.address), 'execve');
}

/** A `char *[]` that ends in a null pointer. */
function pointersTo(words: readonly string[]): StructMemory {
  const pointers = new StructMemory((words.length + 1) * 8);
  for (const [index, word] of words.entries()) {
    const bytes = Buffer.from(`${word}\0`);
    const string = new StructMemory(bytes.byteLength);
    string.u8.set(bytes);
    pointers.writeU64(index * 8, string.address);
    kept.push(string);
  }
  kept.push(pointers);
  return pointers;
}
