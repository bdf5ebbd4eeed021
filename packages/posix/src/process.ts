import { declare, declareSyscall } from './libc.ts';

const syscallGettid = declareSyscall('gettid', { x64: 186, arm64: 178 });
const libcExit = declare('_exit', 'void', ['int']);

/** The kernel's id of the calling thread, as in /proc/self/task and in userfaultfd's messages. */
export function threadId(): number {
  return syscallGettid(0); // takes no argument: the kernel ignores it
}

/**
 * Ends the process now, with every thread, wherever they are: nothing is flushed, no handler runs.
 * For when a thread cannot be let go on, as one that waits for a page which will never come.
 */
export function exitGroup(code: number): never {
  libcExit(code);
  throw new Error('unreachable: _exit does not return');
}
