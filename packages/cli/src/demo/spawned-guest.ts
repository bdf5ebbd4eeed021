import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { QmpClient, QmpSocketError } from '@godwit/qmp';

const GODWIT = fileURLToPath(new URL('../../bin/godwit.js', import.meta.url));
/** Until the process answers QMP, its memory filled. */
const START_LIMIT_MILLIS = 20_000;
const CONNECT_RETRY_MILLIS = 20;
/** What a process is given to end by itself, and then by SIGTERM. */
const QUIT_LIMIT_MILLIS = 2000;
/** Of what a process says last, to show if it dies. */
const STDERR_CHARS_MAX = 4000;

export type SideName = 'source' | 'destination';

export interface SpawnedGuestOptions {
  readonly name: SideName;
  /** `unix:PATH`, where it shall answer QMP. */
  readonly qmp: string;
  /** Further arguments of `godwit guest`. */
  readonly args: readonly string[];
  /** Stops waiting for it to start. */
  readonly signal: AbortSignal;
}

/** A `godwit guest` of our own, in a process of its own; it is gone when this is disposed of. */
export class SpawnedGuest implements AsyncDisposable {
  readonly name: SideName;
  readonly pid: number;
  /** Resolves once the process has ended, with how, and what it said last. */
  readonly ended: Promise<Error>;
  readonly #child: ChildProcess;
  #client: QmpClient | undefined;
  #stderr = '';
  readonly #kill = (): void => void this.#child.kill('SIGKILL');

  /** @throws {Error} it died, did not answer in time, or the signal's reason; nothing is left. */
  static async start(options: SpawnedGuestOptions): Promise<SpawnedGuest> {
    const { name, qmp, args } = options;
    const command = [GODWIT, 'guest', '--name', name, '--qmp', qmp, ...args];
    const child = spawn(process.execPath, command, { stdio: ['ignore', 'ignore', 'pipe'] });
    const { pid } = child;
    if (pid === undefined) {
      const [cause] = (await once(child, 'error')) as [Error];
      throw new Error(`cannot start the ${name}: ${cause.message}`, { cause });
    }
    const guest = new SpawnedGuest(name, pid, child);
    try {
      guest.#client = await guest.#connect(qmp, options.signal);
      return guest;
    } catch (error) {
      await guest.#end();
      throw error;
    }
  }

  private constructor(name: SideName, pid: number, child: ChildProcess) {
    this.name = name;
    this.pid = pid;
    this.#child = child;
    process.once('exit', this.#kill); // however we end: a guest of ours is not left behind
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_CHARS_MAX);
    });
    this.ended = once(child, 'close').then(([code, signal]) => {
      process.removeListener('exit', this.#kill);
      const how = signal === null ? `with exit code ${String(code)}` : `by ${String(signal)}`;
      const said = this.#stderr === '' ? 'it said nothing' : `it said:\n${this.#stderr.trimEnd()}`;
      return new Error(`the ${name} (process ${pid}) has ended ${how}; ${said}`);
    });
  }

  get client(): QmpClient {
    // Only `start` hands out instances, and only once they are connected.
    return this.#client as QmpClient;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client?.execute('quit', undefined, { timeoutMillis: 500 }).catch(ignore);
    await this.#endWithin(QUIT_LIMIT_MILLIS);
    await this.#end();
  }

  async #connect(qmp: string, signal: AbortSignal): Promise<QmpClient> {
    const givenUpAt = performance.now() + START_LIMIT_MILLIS;
    for (;;) {
      signal.throwIfAborted();
      try {
        return await QmpClient.connect(qmp, { signal });
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
