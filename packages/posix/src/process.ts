import { declare, declareSyscall } from './libc.ts';
import { StructMemory } from './struct-memory.ts';

const syscallGettid = declareSyscall('gettid', { x64: 186, arm64: 178 });
const libcExit = declare('_exit', 'void', ['int']);
const libcClockGettime = declare('clock_gettime', 'int', ['int', 'uintptr_t']);

/** What makes a thread id a clock: CPUCLOCK_PERTHREAD and CPUCLOCK_SCHED. */
const THREAD_CPU_CLOCK = 6;
const TIMESPEC_BYTES = 16;

/** The kernel's id of the calling thread, as in /proc/self/task and in userfaultfd's messages. */
export function threadId(): number {
  return syscallGettid(0); // takes no argument: the kernel ignores it
}

/**
 * The processor time of a thread of this process, asked for from any of its threads.
 *
 * @param thread as `threadId` told it there.
 * @returns microseconds; undefined where there is no such thread (any more).
 * @see Linux include/linux/posix-timers.h, MAKE_THREAD_CPUCLOCK; pthread_getcpuclockid(3) is the same.
 */
export function threadCpuMicros(thread: number): number | undefined {
  const time = new StructMemory(TIMESPEC_BYTES);
  // The kernel writes a timespec of two 64-bit words, and keeps no address.
  if (libcClockGettime((~thread << 3) | THREAD_CPU_CLOCK, time.address) !== 0) return undefined;
  return time.readU64(0) * 1e6 + time.readU64(8) / 1000;
}

/**
 * Ends the process now, with every thread, wherever they are: nothing is flushed, no handler runs.
 * For when a thread cannot be let go on, as one that waits for a page which will never come.
 */
export function exitGroup(code: number): never {
  libcExit(code);
  throw new Error('unreachable: _exit does not return');
}
