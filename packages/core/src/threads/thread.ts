import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { threadCpuMicros } from '@godwit/posix';
import { ChannelError, type ChannelErrorCode, channelErrorCodes } from '@godwit/transport';
import { endMessage } from './end-message.ts';

/** What a thread can be told to do: each command's argument and its answer. */
export type Commands = Record<string, { readonly argument: unknown; readonly answer: unknown }>;

export interface CommandMessage {
  readonly id: number;
  readonly command: string;
  readonly argument: unknown;
}

/** An error on its way between threads: classes do not survive the journey. */
export interface ThreadFailure {
  readonly code: string | undefined;
  readonly message: string;
}

export type ThreadMessage =
  /** Once, first: the kernel's id of the thread. */
  | { readonly type: 'started'; readonly threadId: number }
  | { readonly type: 'answer'; readonly id: number; readonly answer: unknown }
  | { readonly type: 'failure'; readonly id: number; readonly failure: ThreadFailure }
  | { readonly type: 'event'; readonly event: unknown };

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

const require = createRequire(import.meta.url);

/**
 * A Worker that runs one of the page loops, as the main thread holds it. Commands are answered one
 * after the other; a command that blocks in the kernel is woken by whoever owns its descriptor.
 */
export class Thread<C extends Commands, Event> {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #exited: Promise<void>;
  readonly #wake: (() => void) | undefined;
  #lastId = 0;
  #dead: Error | undefined;
  #threadId: number | undefined;
  #cpuMicros = 0;
  onEvent: (event: Event) => void = () => undefined;

  /**
   * @param name of the file in `threads/`, and of the thread.
   * @param workerData what `serveThread` hands to the loop.
   * @param wake for a loop that does not return to its event loop: called after each command.
   */
  constructor(name: string, workerData: unknown, wake?: () => void) {
    this.#wake = wake;
    // Always the build: Workers cannot run TypeScript sources on Node 20.
    const file = require.resolve(`#threads/${name}`);
    this.#worker = new Worker(file, { workerData, name, execArgv: [] });
    this.#worker.on('message', (message: ThreadMessage) => this.#receive(message));
    this.#exited = new Promise((resolve) => {
      this.#worker.on('error', (error) => this.#die(error));
      this.#worker.on('exit', () => {
        this.#die(new Error(`thread ${name} has ended`));
        resolve();
      });
    });
  }

  /** @throws what the command threw: ChannelErrors as such, others as Errors. */
  async call<K extends keyof C & string>(
    command: K,
    argument: C[K]['argument'],
  ): Promise<C[K]['answer']> {
    if (this.#dead !== undefined) throw this.#dead;
    const id = ++this.#lastId;
    return await new Promise<C[K]['answer']>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, command, argument } satisfies CommandMessage);
      this.#wake?.();
    });
  }

  /** Microseconds of processor time so far, those before its start left out; also after its end. */
  get cpuMicros(): number {
    const alive = this.#dead === undefined && this.#threadId !== undefined;
    const micros = alive ? threadCpuMicros(this.#threadId as number) : undefined;
    // A thread id that is free again could be another thread's, with less behind it.
    this.#cpuMicros = Math.max(this.#cpuMicros, micros ?? 0);
    return this.#cpuMicros;
  }

  /**
   * Ends it, by its own hand: a Worker that is terminated while it loads a native module takes the
   * process along, guest and all. The caller has woken it from whatever it blocks in.
   *
   * @returns when it is gone.
   */
  async end(): Promise<void> {
    void this.cpuMicros; // the last that can be had
    this.#worker.postMessage(endMessage);
    if (this.#dead === undefined) this.#wake?.(); // what wakes it may be another's by then
    await this.#exited;
  }

  #receive(message: ThreadMessage): void {
    if (message.type === 'event') return this.onEvent(message.event as Event);
    if (message.type === 'started') {
      this.#threadId = message.threadId;
      return;
    }
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.type === 'answer') waiting?.resolve(message.answer);
    else waiting?.reject(reviveFailure(message.failure));
  }

  #die(error: Error): void {
    this.#dead ??= error;
    for (const waiting of this.#waiting.values()) waiting.reject(this.#dead);
    this.#waiting.clear();
  }
}

export function reviveFailure(failure: ThreadFailure): Error {
  const { code, message } = failure;
  if (code !== undefined && Object.hasOwn(channelErrorCodes, code)) {
    return new ChannelError(code as ChannelErrorCode, message);
  }
  return new Error(message);
}
