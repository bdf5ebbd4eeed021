import { type ChildProcess, spawn } from 'node:child_process';
import { constants, openSync, readlinkSync, writeSync } from 'node:fs';
import { closeDescriptor, createPipe } from '@godwit/posix';

/** Lets the guardian of a guest go: no page is missing any more, or nobody can touch one. */
const RELEASE = 'release\n';

/**
 * POSIX sh, so that it is small and everywhere: standard input is the pipe, 3 the duplicate, $1 the
 * engine. It kills nobody but its own parent: when that has died, its number may be another's. Where the
 * kernel refuses the kill (process 1 of a container), it stays, and so do the waiting vCPUs.
 */
const SCRIPT = `
trap '' HUP INT QUIT TERM TSTP PIPE
read -r word
[ "$word" = release ] && exit 0
while read -r pid name state parent rest </proc/$$/stat && [ "$parent" = "$1" ]; do
  kill -KILL "$1"
  sleep 1
done
`;

/** A shell that ends again and again has a reason that does not go away. */
const LOST_MAX = 3;

/** How often the engine makes sure that what it serves is a userfaultfd still. */
const LOOK_MILLIS = 1000;
const USERFAULTFD = 'anon_inode:[userfaultfd]';

/** Whether a duplicate of the userfaultfd is kept outside the engine. */
export type GuardianStatus = 'watching' | 'released' | 'absent';

/**
 * A process of two pages of shell that has a duplicate of the userfaultfd: while it lives no mistake of
 * the engine's can close the last one, so a vCPU that touches a missing page waits, and reads no zero.
 *
 * It reads from a pipe whose only writer belongs to the fault thread, and is closed with that thread,
 * however it ends: the end of the pipe without a word before it is the end of who serves the guest, and
 * the guardian kills the process that the vCPUs live in.
 *
 * | who dies | what follows |
 * |---|---|
 * | the engine's process | its vCPUs with it, in the kernel; the guardian finds another parent and ends |
 * | the fault thread | the guardian kills the process |
 * | the userfaultfd of the engine, its number another file's by now | the engine looks each second, and kills itself |
 * | the guardian | another one is started: see `onLost` |
 */
export class Guardian {
  /** It ended without being told to. */
  onLost: () => void = () => undefined;
  /** Where `start` failed: why. */
  error: Error | undefined;
  #child: ChildProcess | undefined;
  /** The fault thread's end of the pipe. */
  #words = -1;
  /** One of the main thread's own: nobody serves the guest, and that is as it should be. */
  #hold = -1;
  #isReleased = false;
  #lost = 0;
  #looking: NodeJS.Timeout | undefined;

  get status(): GuardianStatus {
    if (this.#words < 0) return this.error === undefined ? 'released' : 'absent';
    return 'watching';
  }

  /** Of the process; undefined when there is none. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /**
   * The duplicate is kept from here on. Costs the calling thread some milliseconds.
   *
   * @param adopt hands the writer to the thread that serves the guest. @returns the descriptor that it has
   *   opened in its place, which Node closes when the thread ends.
   */
  async start(userfaultfd: number, adopt: (writer: number) => Promise<number>): Promise<void> {
    this.#isReleased = false;
    const pipe = this.#openPipe();
    if (pipe === undefined) return;
    const { reader, writer } = pipe;
    try {
      const child = spawn('/bin/sh', ['-c', SCRIPT, 'guardian', String(process.pid)], {
        // A group of its own: what the terminal sends is for the engine.
        detached: true,
        // The duplicate is 3: libuv makes standard streams blocking, and the engine's would be so too.
        stdio: [reader, 'ignore', 'ignore', userfaultfd],
        cwd: '/',
        env: { PATH: '/usr/bin:/bin' },
      });
      const failed = new Promise<never>((_resolve, reject) => void child.once('error', reject));
      failed.catch(() => undefined); // an error that comes later is told by the exit
      child.unref();
      if (child.pid === undefined) await failed;
      child.once('exit', () => this.#ended(child));
      this.#child = child;
      const words = await adopt(writer);
      this.error = undefined;
      if (this.#isReleased) return void writeSync(writer, RELEASE); // meanwhile
      this.#words = words;
      if (this.#child === child) this.#lookAfter(userfaultfd);
      else this.#replace(); // it has ended meanwhile
    } catch (error) {
      writeSync(writer, RELEASE); // where it runs already, what follows is no end of the engine
      this.error = error as Error;
    } finally {
      closeDescriptor(reader);
      closeDescriptor(writer);
    }
  }

  #openPipe(): ReturnType<typeof createPipe> | undefined {
    try {
      return createPipe();
    } catch (error) {
      this.error = error as Error; // EMFILE
      return undefined;
    }
  }

  /** The userfaultfd may go; at once, also while the process ends. */
  release(): void {
    clearInterval(this.#looking);
    this.#isReleased = true;
    if (this.#words < 0) return;
    const words = this.#hold < 0 ? this.#words : this.#hold;
    this.#words = -1;
    try {
      writeSync(words, RELEASE);
    } catch {
      // EPIPE: it has ended before it was told to.
    }
  }

  /** The threads end, and pages stay missing: the duplicate is kept until the process ends. */
  holdForGood(): void {
    if (this.#words >= 0) this.#hold = openSync(descriptorPath(this.#words), constants.O_WRONLY);
  }

  /** A fault thread that polls another file in its place would wait for ever, and the guest with it. */
  #lookAfter(userfaultfd: number): void {
    clearInterval(this.#looking);
    this.#looking = setInterval(() => {
      if (linkOf(userfaultfd) !== USERFAULTFD) process.kill(process.pid, 'SIGKILL');
    }, LOOK_MILLIS);
    this.#looking.unref();
  }

  #ended(child: ChildProcess): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    if (this.#words >= 0) this.#replace();
  }

  #replace(): void {
    this.#words = -1;
    clearInterval(this.#looking); // too slow without the duplicate: zeros are read at once
    this.error = new Error('the guardian process has ended');
    this.#lost += 1;
    if (this.#hold < 0 && this.#lost <= LOST_MAX) this.onLost();
  }
}

function linkOf(descriptor: number): string | undefined {
  try {
    return readlinkSync(descriptorPath(descriptor));
  } catch {
    return undefined; // closed
  }
}

function descriptorPath(descriptor: number): string {
  return `/proc/self/fd/${descriptor}`;
}
