import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { finished } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';

import type { AnswerMessage, CommandMessage } from './serve-side.ts';
import type { SideCommands } from './side-api.ts';

/** After the channel to it is closed, until it is killed. */
const END_LIMIT_MILLIS = 2_000;
/** Of what a process says last, to show if it dies. */
const STDERR_CHARS_MAX = 4_000;

export type SideName = 'source' | 'destination';

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

const require = createRequire(import.meta.url);

/** One side of the benchmark, in a process of its own; it is gone when this is disposed of. */
export class SideProcess<C extends SideCommands> implements AsyncDisposable {
  readonly #name: SideName;
  readonly #limitMillis: number;
  readonly #signal: AbortSignal;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #stderr = '';
  #dead: Error | undefined;
  readonly #kill = (): void => void this.#child.kill('SIGKILL');

  /**
   * @param options.limitMillis of every command; a side that takes longer is given up.
   * @param options.signal ends every wait with its reason.
   */
  constructor(name: SideName, options: { limitMillis: number; signal: AbortSignal }) {
    this.#name = name;
    this.#limitMillis = options.limitMillis;
    this.#signal = options.signal;
    this.#child = fork(require.resolve(`#side/${name}-side`), {
      execArgv: [], // `--conditions` would lead it to sources, which Node 20 cannot run
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    process.once('exit', this.#kill); // however we end: a side is not left behind
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_CHARS_MAX);
    });
    this.#child.on('message', (message: AnswerMessage) => this.#settle(message));
    this.#child.on('error', (error) => this.#die(error));
    this.#ended = this.#watchEnd();
  }

  /** @throws {Error} what went wrong there; that it died or took too long; the signal's reason. */
  async call<K extends keyof C & string>(
    command: K,
    argument: C[K]['argument'],
  ): Promise<C[K]['answer']> {
    if (this.#dead !== undefined) throw this.#dead;
    this.#signal.throwIfAborted();
    const id = ++this.#lastId;
    const settled = new AbortController();
    const limit = { signal: AbortSignal.any([this.#signal, settled.signal]) };
    const given = sleep(this.#limitMillis, undefined, limit).then(
      () => {
        throw new Error(`the ${this.#name} has not done '${command}' in ${this.#limitMillis} ms`);
      },
      () => this.#signal.throwIfAborted(),
    );
    const answer = new Promise<C[K]['answer']>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#child.send({ id, command, argument } satisfies CommandMessage, (error) => {
        if (error !== null) reject(error);
      });
    });
    try {
      // Of the two only `given` ends without an answer, and only by throwing while nobody has settled.
      return (await Promise.race([answer, given])) as C[K]['answer'];
    } finally {
      this.#waiting.delete(id);
      settled.abort();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.connected) this.#child.disconnect();
    const enough = new AbortController();
    const ignore = (): void => undefined;
    await Promise.race([
      this.#ended,
      sleep(END_LIMIT_MILLIS, undefined, { signal: enough.signal }).catch(ignore),
    ]);
    enough.abort();
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  async #watchEnd(): Promise<void> {
    if (this.#child.pid === undefined) return; // never started: 'error' tells why
    // Not 'close': after a `disconnect` of ours it never comes.
    const [code, signal] = (await once(this.#child, 'exit')) as [number | null, string | null];
    process.removeListener('exit', this.#kill);
    if (this.#child.stderr !== null) await finished(this.#child.stderr).catch(() => undefined);
    const how = signal === null ? `with exit code ${String(code)}` : `by ${signal}`;
    const said = this.#stderr === '' ? 'it said nothing' : `it said:\n${this.#stderr.trimEnd()}`;
    this.#die(new Error(`the ${this.#name} has ended ${how}; ${said}`));
  }

  #settle(message: AnswerMessage): void {
    const waiting = this.#waiting.get(message.id);
    if ('failure' in message) waiting?.reject(new Error(`the ${this.#name}: ${message.failure}`));
    else waiting?.resolve(message.answer);
  }

  #die(error: Error): void {
    this.#dead ??= error;
    for (const waiting of this.#waiting.values()) waiting.reject(error);
  }
}
