import { setTimeout as delay } from 'node:timers/promises';

import { exitGroup } from '@godwit/posix';

import { exitCodes, messageOf } from './errors.ts';
import { SocketFiles } from './socket-files.ts';

/** From the wish to end to the end: for replies, migrations, vCPUs and files together. */
export const QUIT_LIMIT_MILLIS = 2_000;

const endSignals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/**
 * How this process ends: in order when that can be had in time, and as a whole when not. A vCPU that
 * waits for a page which never comes cannot be ended by Node; it must not get to read a zero in its
 * place either, so nothing that it waits for is let go of before the process is gone.
 */
export class ProcessEnd {
  readonly socketFiles = new SocketFiles();
  /** What an orderly end consists of, all begun at once; none of it is waited for beyond the limit. */
  readonly steps: (() => Promise<void>)[] = [];
  readonly #name: string;
  #hasBegun = false;

  /** @param name before every line that says why the process ends. */
  constructor(name: string) {
    this.#name = name;
    // Nobody knows what state a mistake of ours has left behind: nothing more is done with it.
    process.on('uncaughtException', (error) => {
      console.error(`${this.#name}: this is a bug`, error);
      this.#die(exitCodes.failed);
    });
  }

  beginOnSignals(): void {
    for (const signal of endSignals) process.on(signal, () => this.begin(exitCodes.done));
  }

  /** Only the first call counts. */
  begin(code: number, reason?: Error): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    if (reason !== undefined) console.error(`${this.#name}: ${messageOf(reason)}`);
    void this.#end(code);
  }

  async #end(code: number): Promise<never> {
    const all = Promise.allSettled(this.steps.map(async (step) => await step()));
    await Promise.race([all, delay(QUIT_LIMIT_MILLIS, undefined)]);
    return this.#die(code);
  }

  #die(code: number): never {
    this.socketFiles.removeAll();
    exitGroup(code);
  }
}
