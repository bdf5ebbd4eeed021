import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { type JsonObject, QmpClient, type QmpEvent, QmpSocketError } from '@godwit/qmp';

import { monotonicMillis } from '../migrate/clock.ts';
import { processCpuSeconds } from './process-times.ts';

/** Between two attempts to reach a monitor: QEMU tells nobody when it begins to listen. */
const MONITOR_RETRY_MILLIS = 5;
/** Of what QEMU says, to show if it ends. */
const STDERR_CHARS_MAX = 4_000;

export interface QemuStart {
  /** `source` or `destination`, for messages. */
  readonly name: string;
  /** `findLauncher`. */
  readonly launcher: readonly string[];
  readonly command: string;
  readonly args: readonly string[];
  /** Where `args` let it listen for QMP: a path. */
  readonly monitor: string;
  /** Of every wait. */
  readonly limitMillis: number;
  readonly signal: AbortSignal;
}

/** A QEMU of ours: its monitor, what its guest says, and its end. Gone when this is disposed of. */
export class QemuProcess implements AsyncDisposable {
  readonly #name: string;
  readonly #limitMillis: number;
  readonly #child: ChildProcess;
  readonly #pid: number;
  readonly #ended: Promise<void>;
  /** Aborted by the caller, or with the reason for which QEMU has ended. */
  readonly #over: AbortSignal;
  /** When each letter came from the guest. */
  readonly #said = new Map<string, number>();
  #qmp: QmpClient | undefined;
  #stderr = '';
  readonly #kill = (): void => void this.#child.kill('SIGKILL');

  /** @returns once its monitor answers. @throws {Error} it has ended; the limit; the signal's reason. */
  static async start(start: QemuStart): Promise<QemuProcess> {
    const [file = start.command, ...args] = [...start.launcher, start.command, ...start.args];
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    await once(child, 'spawn');
    const qemu = new QemuProcess(child, start);
    try {
      qemu.#qmp = await qemu.#reachMonitor(start.monitor);
      return qemu;
    } catch (error) {
      await qemu[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(child: ChildProcess, { name, limitMillis, signal }: QemuStart) {
    this.#name = name;
    this.#limitMillis = limitMillis;
    this.#child = child;
    this.#pid = child.pid as number; // it has been spawned
    process.once('exit', this.#kill); // however we end: it is not left behind
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_CHARS_MAX);
    });
    child.stdout?.setEncoding('latin1').on('data', (text: string) => {
      for (const letter of text) this.#said.set(letter, monotonicMillis());
    });
    const ended = new AbortController();
    this.#over = AbortSignal.any([signal, ended.signal]);
    this.#ended = this.#watchEnd(ended);
  }

  /** CPU seconds of its threads so far. */
  cpuSeconds(): number {
    return processCpuSeconds(this.#pid);
  }

  /** @throws {Error} QEMU refuses it, or has ended. */
  async execute<T = unknown>(command: string, args?: JsonObject): Promise<T> {
    return await this.#unlessOver(this.#monitor.execute<T>(command, args, { signal: this.#over }));
  }

  /** Where the events begin that are still to come. */
  get eventCursor(): number {
    return this.#monitor.eventCursor;
  }

  /** The first event that is meant, from `since` on. @throws {Error} QEMU has ended; the limit. */
  async event(since: number, isMeant: (event: QmpEvent) => boolean): Promise<QmpEvent> {
    const limits = { since, signal: this.#over, timeoutMillis: this.#limitMillis };
    return await this.#unlessOver(this.#monitor.waitForEvent(isMeant, limits));
  }

  /** @returns when the guest wrote this letter to the debug console, by `monotonicMillis`. */
  async guestSaid(letter: string): Promise<number> {
    const limit = AbortSignal.timeout(this.#limitMillis);
    for (;;) {
      const millis = this.#said.get(letter);
      if (millis !== undefined) return millis;
      const signal = AbortSignal.any([this.#over, limit]);
      if (this.#child.stdout === null) throw new Error('QEMU has no output'); // it is a pipe
      await once(this.#child.stdout, 'data', { signal }).catch((error: unknown) => {
        this.#over.throwIfAborted();
        throw new Error(`QEMU's guest has not said '${letter}'`, { cause: error });
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL'); // nothing of it is worth an orderly end
    await this.#qmp?.close();
    await this.#ended;
  }

  get #monitor(): QmpClient {
    if (this.#qmp === undefined) throw new Error('the monitor is not connected yet');
    return this.#qmp;
  }

  async #reachMonitor(path: string): Promise<QmpClient> {
    const deadline = monotonicMillis() + this.#limitMillis;
    for (;;) {
      try {
        return await QmpClient.connect(`unix:${path}`, { signal: this.#over });
      } catch (error) {
        this.#over.throwIfAborted();
        const isEarly = error instanceof QmpSocketError && error.code === 'ERR_CONNECT';
        if (!isEarly || monotonicMillis() > deadline) throw error;
      }
      await sleep(MONITOR_RETRY_MILLIS);
    }
  }

  /** A lost monitor means that QEMU ends: why is what the caller should hear. */
  async #unlessOver<T>(waited: Promise<T>): Promise<T> {
    try {
      return await waited;
    } catch (error) {
      if (error instanceof QmpSocketError && error.code === 'ERR_LOST') {
        this.#child.kill('SIGTERM'); // without effect on what has ended
        await this.#ended;
        this.#over.throwIfAborted();
      }
      throw error;
    }
  }

  async #watchEnd(ended: AbortController): Promise<void> {
    const [code, signal] = (await once(this.#child, 'close')) as [number | null, string | null];
    process.removeListener('exit', this.#kill);
    const how = signal === null ? `with exit code ${String(code)}` : `by ${signal}`;
    const said = this.#stderr === '' ? 'it said nothing' : `it said:\n${this.#stderr.trimEnd()}`;
    ended.abort(new Error(`the QEMU of the ${this.#name} has ended ${how}; ${said}`));
  }
}
