import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { QmpClient, QmpSocketError } from '@godwit/qmp';

/** Until the process answers QMP, its memory filled. */
const START_LIMIT_MILLIS = 20_000;
const CONNECT_RETRY_MILLIS = 20;
/** What a process is given to end by itself, and then by SIGTERM. */
const QUIT_LIMIT_MILLIS = 2000;
/** Of what a process says last, to show if it dies. */
const STDERR_CHARS_MAX = 4000;

export interface SpawnedGuestOptions<Name extends string> {
  readonly name: Name;
  /** The program `godwit`, a module of Node's. */
  readonly godwit: string;
  /** `unix:PATH`, where it shall answer QMP. */
  readonly qmp: string;
  /** Further arguments of `godwit guest`. */
  readonly args: readonly string[];
  /** Negotiate out-of-band execution; default no. */
  readonly oob?: boolean;
  /** Stops waiting for it to start. */
  readonly signal: AbortSignal;
}

/** How a process ended. */
export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A `godwit guest` of our own, in a process of its own; it is gone when this is disposed of. */
export class SpawnedGuest<Name extends string = string> implements AsyncDisposable {
  readonly name: Name;
  readonly pid: number;
  /** Resolves once the process has ended, with how, and what it said last. */
  readonly ended: Promise<Error>;
  readonly #child: ChildProcess;
  #client: QmpClient | undefined;
  #stderr = '';
  #ending: Ending | undefined;
  readonly #kill = (): void => void this.#child.kill('SIGKILL');

  /** @throws {Error} it died, did not answer in time, or the signal's reason; nothing is left. */
  static async start<Name extends string>(
    options: SpawnedGuestOptions<Name>,
  ): Promise<SpawnedGuest<Name>> {
    const { name, godwit, qmp, args } = options;
    const command = [godwit, 'guest', '--name', name, '--qmp', qmp, ...args];
    const child = spawn(process.execPath, command, { stdio: ['ignore', 'ignore', 'pipe'] });
    const { pid } = child;
    if (pid === undefined) {
      const [cause] = (await once(child, 'error')) as [Error];
      throw new Error(`cannot start the ${name}: ${cause.message}`, { cause });
    }
    const guest = new SpawnedGuest(name, pid, child);
    try {
      guest.#client = await guest.#connect(options);
      return guest;
    } catch (error) {
      await guest.#end();
      throw error;
    }
  }

  private constructor(name: Name, pid: number, child: ChildProcess) {
    this.name = name;
    this.pid = pid;
    this.#child = child;
    process.once('exit', this.#kill); // however we end: a guest of ours is not left behind
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_CHARS_MAX);
    });
    this.ended = once(child, 'close').then(([code, signal]) => {
      process.removeListener('exit', this.#kill);
      // What `close` tells.
      this.#ending = { code: code as number | null, signal: signal as NodeJS.Signals | null };
      const how = signal === null ? `with exit code ${String(code)}` : `by ${String(signal)}`;
      const said = this.#stderr === '' ? 'it said nothing' : `it said:\n${this.#stderr.trimEnd()}`;
      return new Error(`the ${name} (process ${pid}) has ended ${how}; ${said}`);
    });
  }

  get client(): QmpClient {
    // Only `start` hands out instances, and only once they are connected.
    return this.#client as QmpClient;
  }

  /** Undefined while it lives. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  /** What it has said on stderr, the last of it. */
  get stderr(): string {
    return this.#stderr;
  }

  /** SIGKILL, SIGSTOP and the like: to this process alone, and only while it is ours. */
  send(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client?.execute('quit', undefined, { timeoutMillis: 500 }).catch(ignore);
    await this.#endWithin(QUIT_LIMIT_MILLIS);
    await this.#end();
  }

  async #connect(options: SpawnedGuestOptions<Name>): Promise<QmpClient> {
    const { qmp, signal, oob = false } = options;
    const givenUpAt = performance.now() + START_LIMIT_MILLIS;
    for (;;) {
      signal.throwIfAborted();
      try {
        return await QmpClient.connect(qmp, { signal, oob });
      } catch (error) {
        if (!(error instanceof QmpSocketError && error.code === 'ERR_CONNECT')) throw error;
        if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
          throw await this.ended;
        }
        if (performance.now() > givenUpAt) {
          const message = `the ${this.name} did not answer QMP within ${START_LIMIT_MILLIS} ms`;
          throw new Error(message, { cause: error });
        }
      }
      await sleep(CONNECT_RETRY_MILLIS);
    }
  }

  async #end(): Promise<void> {
    this.#child.kill('SIGTERM');
    await this.#endWithin(QUIT_LIMIT_MILLIS);
    this.#child.kill('SIGKILL');
    await this.ended;
    await this.#client?.close();
  }

  async #endWithin(millis: number): Promise<void> {
    const enough = new AbortController();
    await Promise.race([this.ended, sleep(millis, undefined, enough).catch(ignore)]);
    enough.abort();
  }
}

function ignore(): void {}
