import type { Worker } from 'node:worker_threads';

import type { RamBlock } from '@godwit/core';

import { GuestError } from '../errors.ts';
import { startThread } from '../start-thread.ts';
import { StepTimes } from './step-times.ts';
import { commandKind, VcpuControl, type CommandKind, type VcpuProgram } from './vcpu-control.ts';

/** What `threads/vcpu.ts` is started with. */
export interface VcpuThreadData {
  readonly ram: readonly RamBlock[];
  readonly control: SharedArrayBuffer;
  /** Where to count how long steps take. */
  readonly times: SharedArrayBuffer | undefined;
}

/** A vCPU as the main thread sees it: a Worker that was started early and waits for commands. */
export class VcpuThread {
  readonly index: number;
  readonly #control = new VcpuControl();
  readonly #times: StepTimes | undefined;
  readonly #worker: Worker;
  readonly #exited: Promise<void>;
  #crash: GuestError | undefined;

  /** Returns at once; commands given while the thread starts are obeyed when it has started. */
  constructor(
    index: number,
    ram: readonly RamBlock[],
    onCrash: (error: GuestError) => void,
    { timeSteps = false } = {},
  ) {
    this.index = index;
    this.#times = timeSteps ? new StepTimes() : undefined;
    const times = this.#times?.buffer;
    const workerData: VcpuThreadData = { ram, control: this.#control.buffer, times };
    this.#worker = startThread('vcpu', workerData, `vcpu ${index}`);
    const crash = (cause: unknown) => {
      if (this.#crash !== undefined) return; // an error is followed by the exit it causes
      this.#crash = new GuestError('ERR_VCPU_CRASHED', `vCPU ${index}`, { cause });
      this.#control.wakeWaiters();
      onCrash(this.#crash);
    };
    this.#worker.on('error', crash);
    this.#exited = new Promise((resolve) => {
      this.#worker.on('exit', (code) => {
        const asked = commandKind(this.#control.command) === 'exit';
        if (!asked) crash(new Error(`the thread ended with exit code ${code}`));
        resolve();
      });
    });
  }

  /** Exact on a stopped vCPU, a live sample on a running one. */
  get steps(): number {
    return this.#control.steps;
  }

  /** `StepTimes`; empty unless steps are timed. */
  stepTimes(): number[] {
    return this.#times?.counts() ?? [];
  }

  /** Linux's id of the thread; 0 until it has started. */
  get threadId(): number {
    return this.#control.threadId;
  }

  get crash(): GuestError | undefined {
    return this.#crash;
  }

  /** Whether the vCPU makes no step until it is told to: it answered a pause, or is no more. */
  get stopped(): boolean {
    if (this.#crash !== undefined) return true;
    const { command } = this.#control;
    const kind = commandKind(command);
    return kind === 'exit' || (kind === 'pause' && this.#control.acknowledged === command);
  }

  /** Stopped, or told to stop and waiting for a page: then before the step that the page is for. */
  isStill(isWaiting: (threadId: number) => boolean): boolean {
    if (this.stopped) return true;
    return commandKind(this.#control.command) === 'pause' && isWaiting(this.threadId);
  }

  /** From now on, running or not. */
  setThrottle(percentage: number): void {
    this.#control.throttle = percentage;
  }

  /** The vCPU must be stopped. */
  setProgram(program: VcpuProgram, steps: number): void {
    this.#control.setProgram(program, steps);
  }

  /** @throws {GuestError} `ERR_VCPU_CRASHED` */
  async started(): Promise<void> {
    while (this.#control.threadId === 0) {
      if (this.#crash !== undefined) throw this.#crash;
      await this.#control.threadStart();
    }
  }

  /**
   * Gives a command, at once, and waits until it is obeyed.
   *
   * @param signal ends the waiting with its reason; the command stays given, and a vCPU that hangs
   *   in a page fault obeys it when the page comes.
   * @param blockUntil of `performance.now`: until then the calling thread itself is blocked, though
   *   not before the caller has given the same command to other vCPUs.
   * @throws {GuestError} `ERR_VCPU_CRASHED`
   */
  async obey(
    kind: Exclude<CommandKind, 'exit'>,
    signal?: AbortSignal,
    blockUntil = 0,
  ): Promise<void> {
    const command = this.#control.issue(kind);
    await Promise.resolve();
    this.#blockFor(command, blockUntil);
    const wake = () => this.#control.wakeWaiters();
    signal?.addEventListener('abort', wake, { once: true });
    try {
      for (;;) {
        if (this.#crash !== undefined) throw this.#crash;
        const answer = this.#control.acknowledged;
        if (answer >= command) return;
        signal?.throwIfAborted();
        await this.#control.nextAnswer(answer);
      }
    } finally {
      signal?.removeEventListener('abort', wake);
    }
  }

  /** A vCPU answers within microseconds; to learn of it from the event loop takes a millisecond. */
  #blockFor(command: number, blockUntil: number): void {
    for (;;) {
      const answer = this.#control.acknowledged;
      const left = blockUntil - performance.now();
      if (answer >= command || left <= 0 || this.#crash !== undefined) return;
      this.#control.waitForAnswer(answer, left);
    }
  }

  /** Ends the thread; the vCPU must be stopped. */
  async exit(): Promise<void> {
    this.#control.issue('exit');
    await this.#exited;
  }
}
