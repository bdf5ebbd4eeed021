import { EINVAL, ENOSYS, EPERM, SystemError } from './errors.ts';
import { declare, lastErrno } from './libc.ts';
import { StructMemory } from './struct-memory.ts';

const libcSyscall = declare('syscall', 'long', ['long', 'long', 'uintptr_t', 'long']);
const libcGetpriority = declare('getpriority', 'int', ['int', 'uint32_t']);

const SCHED_SETATTR: Readonly<Record<string, number>> = { x64: 314, arm64: 274 };
const SCHED_OTHER = 0;
const PRIO_PROCESS = 0;
const CALLING_THREAD = 0;

/**
 * `struct sched_attr`, its first version; the policies of ordinary threads use the nice value and,
 * since Linux 6.12, the slice.
 *
 *     0      4        8       16     20         24      32         40       48
 *     | size | policy | flags | nice | priority | slice | deadline | period |
 *     | u32  | u32    | u64   | i32  | u32      | u64   | u64      | u64    |
 */
const ATTRIBUTES_BYTES = 48;
const POLICY_OFFSET = 4;
const NICE_OFFSET = 16;
const SLICE_OFFSET = 24;

/**
 * Asks for a short time slice of the calling thread: an ordinary thread that wants little at a time
 * gets it soon after it wakes, before those that are in the midst of a long one. It takes no
 * privilege, and gives no larger share of the processor.
 *
 * @param micros at least 100; Linux before 6.12 knows one slice for all and takes no notice.
 * @returns false where the system call is refused or not known: nothing has changed.
 * @see Linux kernel/sched/syscalls.c, `__setparam_fair`; sched_setattr(2).
 */
export function requestShortSlice(micros: number): boolean {
  const number = SCHED_SETATTR[process.arch];
  if (number === undefined) return false;
  const attributes = new StructMemory(ATTRIBUTES_BYTES);
  attributes.u32[0] = ATTRIBUTES_BYTES;
  attributes.u32[POLICY_OFFSET / 4] = SCHED_OTHER;
  // The call sets both: the nice value is handed back as it is.
  attributes.i32[NICE_OFFSET / 4] = libcGetpriority(PRIO_PROCESS, CALLING_THREAD);
  attributes.writeU64(SLICE_OFFSET, micros * 1000);
  if (libcSyscall(number, CALLING_THREAD, attributes.address, 0) >= 0) return true;
  const errno = lastErrno();
  if ([EPERM, ENOSYS, EINVAL].includes(errno)) return false;
  throw new SystemError(errno, 'sched_setattr');
}
