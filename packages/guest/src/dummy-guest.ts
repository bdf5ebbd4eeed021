import { setTimeout as delay } from 'node:timers/promises';

import type { Guest, RamBlock } from '@godwit/core';

import { abortable } from './abortable.ts';
import { decodeDeviceState, encodeDeviceState, type DeviceState } from './device-state.ts';
import { GuestError } from './errors.ts';
import { fillGuest } from './fill.ts';
import { countPages } from './pages/memory-pages.ts';
import { checkProgram, type Workload } from './program.ts';
import { VcpuThread } from './vcpu/vcpu-thread.ts';
import { verifyGuest, type VerifyResult } from './verifier.ts';

/** How long `close` waits for vCPUs that do not stop. */
export const CLOSE_LIMIT_MILLIS = 2000;

/** How long `pause` and `resume` block the thread they are called on, if the vCPUs take so long. */
const BLOCK_MILLIS = 1;

/** A step takes microseconds; a busy machine may take its time. */
const FREEZE_LIMIT_MILLIS = 5_000;
const FREEZE_LOOK_MILLIS = 2;

export interface DummyGuestOptions {
  /** Stays mapped until `close` has resolved; the guest does not own it. */
  readonly ram: readonly RamBlock[];
  /** 1 to 64 and no more than there are pages; default 1. */
  readonly vcpus?: number;
  /** Default `sweep`. */
  readonly workload?: Workload;
  /** Pages/s of the guest, shared between its vCPUs; 0, the default, is unlimited. */
  readonly rate?: number;
  /** Share of the pages that are non-zero at the start, 0 to 1; default 1. */
  readonly fill?: number;
  /** An unsigned 32-bit integer; default 1. */
  readonly seed?: number;
  /** False on an incoming side, whose RAM comes from elsewhere. */
  readonly fillMemory: boolean;
  /** For `stepTimes`; a step then takes longer. Default false. */
  readonly timeSteps?: boolean;
  /** A vCPU thread failed. `pause`, `resume` and what needs a stopped guest reject from then on. */
  readonly onCrash?: (error: GuestError) => void;
}

/**
 * A guest without a CPU to emulate: each vCPU is a thread that visits its share of the pages in an
 * order drawn from the seed, with ordinary loads and stores, and counts its steps. So every byte of
 * RAM follows from the options and the step counts, and `verify` proves it.
 *
 * RAM is touched by its threads alone, never by the thread that holds this object. `pause`,
 * `resume` and `verify` take turns in the order they were called.
 */
export class DummyGuest implements Guest {
  readonly ram: readonly RamBlock[];
  readonly #pageCount: number;
  readonly #onCrash: (error: GuestError) => void;
  readonly #timeSteps: boolean;
  /** Those that run come first; more may be parked, when the guest taken over had fewer. */
  readonly #threads: VcpuThread[] = [];
  #state: DeviceState;
  #throttle = 0;
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;
  #closing: Promise<void> | undefined;

  /**
   * The guest is stopped at first, its threads started and waiting.
   *
   * @throws {RangeError} naming the option that is out of its range.
   */
  static async create(options: DummyGuestOptions): Promise<DummyGuest> {
    const guest = new DummyGuest(options);
    try {
      const started = guest.#threads.map((thread) => thread.started());
      const filled = options.fillMemory ? fillGuest(guest.ram, guest.#state) : undefined;
      // The fill first: it must not be left behind, writing, when a thread fails to start.
      const results = await Promise.allSettled([filled, ...started]);
      for (const result of results) if (result.status === 'rejected') throw result.reason;
      return guest;
    } catch (error) {
      await guest.close();
      throw error;
    }
  }

  private constructor(options: DummyGuestOptions) {
    const { ram, vcpus = 1, workload = 'sweep', rate = 0, fill = 1, seed = 1 } = options;
    this.ram = ram;
    this.#pageCount = countPages(ram);
    this.#onCrash = options.onCrash ?? (() => undefined);
    this.#timeSteps = options.timeSteps ?? false;
    checkProgram({ workload, seed, fill, rate, vcpus }, this.#pageCount);
    const atStart = Array.from({ length: vcpus }, () => ({ steps: 0 }));
    this.#state = { workload, seed, fill, rate, vcpus: atStart, blocks: ram };
    // Read back, so that a state which a destination would refuse shows now and not when it is moved;
    // and so that the first time, which takes milliseconds, is not while the guest stands still.
    this.#state = decodeDeviceState(encodeDeviceState(this.#state), ram);
    this.#setPrograms();
  }

  /** False only when every vCPU has said that it stopped, or crashed. */
  get running(): boolean {
    return this.#threads.some((thread) => !thread.stopped);
  }

  /** Of all vCPUs together; on a running guest a live sample. */
  get stepsTotal(): number {
    return this.#vcpus.reduce((total, vcpu) => total + vcpu.steps, 0);
  }

  /** Of each vCPU; on a running guest a live sample. */
  steps(): number[] {
    return this.#vcpus.map((vcpu) => vcpu.steps);
  }

  /**
   * How long the steps took here, of all vCPUs together, waiting for a missing page included:
   * counts by nanoseconds, in the buckets of `StepTimes`; on a running guest a live sample. Empty
   * unless `timeSteps`.
   */
  stepTimes(): number[] {
    const [first = [], ...others] = this.#vcpus.map((vcpu) => vcpu.stepTimes());
    return first.map((count, bucket) =>
      others.reduce((sum, counts) => sum + (counts[bucket] ?? 0), count),
    );
  }

  /** Linux's ids of the vCPU threads; 0 for one that `loadDeviceState` added until `resume`. */
  threadIds(): number[] {
    return this.#vcpus.map((vcpu) => vcpu.threadId);
  }

  /**
   * Stops every vCPU after the step it is in; idempotent.
   *
   * @param options.signal ends the waiting with its reason, for a vCPU may hang in a page fault.
   *   The request stays: each vCPU stops when it can, and `running` tells when all have.
   * @throws {GuestError} `ERR_VCPU_CRASHED`, `ERR_GUEST_CLOSED`
   */
  async pause({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const paused = this.#takeTurn(() => this.#obeyAll('pause', signal));
    await (signal === undefined ? paused : abortable(paused, signal));
  }

  /**
   * Starts every vCPU where it stopped; idempotent.
   *
   * @param options.signal ends the waiting with its reason. Aborted before its turn nothing is started;
   *   after that all are, but for a vCPU that hangs in a page fault since it was told to stop.
   * @throws {GuestError} `ERR_VCPU_CRASHED`, `ERR_GUEST_CLOSED`
   */
  async resume({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const resumed = this.#takeTurn(async () => {
      signal?.throwIfAborted();
      await this.#obeyAll('run', signal);
    });
    await (signal === undefined ? resumed : abortable(resumed, signal));
  }

  /**
   * Takes `percentage` of its time from each vCPU, as QEMU's auto-converge does: 10 ms of running, then
   * sleep. No part of the device state. A `rate` is slowed down in the same proportion.
   *
   * @throws {RangeError} not a whole number from 0 to 99.
   */
  throttle(percentage: number): void {
    if (!Number.isInteger(percentage) || percentage < 0 || percentage > 99) {
      throw new RangeError(`throttle is ${percentage}, expected 0 to 99 percent`);
    }
    this.#throttle = percentage;
    for (const thread of this.#threads) thread.setThrottle(percentage);
  }

  /** @throws {GuestError} `ERR_GUEST_RUNNING`, `ERR_VCPU_CRASHED`, `ERR_GUEST_CLOSED` */
  saveDeviceState(): Uint8Array {
    this.#refuseUnlessStopped();
    return encodeDeviceState(this.#stoppedState());
  }

  /**
   * The device state while pages are missing and none comes: as `saveDeviceState`, where a vCPU that waits
   * for a page counts as stopped before its step: that reads its page first, and is counted last.
   *
   * @throws {GuestError} `ERR_GUEST_RUNNING`: a vCPU neither stopped nor waits, or was not told to pause.
   */
  async frozenState(isWaiting: (threadId: number) => boolean): Promise<Uint8Array> {
    const deadline = performance.now() + FREEZE_LIMIT_MILLIS;
    for (;;) {
      if (this.#closed) throw new GuestError('ERR_GUEST_CLOSED');
      for (const { crash } of this.#vcpus) if (crash !== undefined) throw crash;
      if (this.#vcpus.every((vcpu) => vcpu.isStill(isWaiting))) break;
      if (performance.now() > deadline) throw new GuestError('ERR_GUEST_RUNNING');
      await delay(FREEZE_LOOK_MILLIS); // nothing tells that a thread has begun to wait
    }
    return encodeDeviceState(this.#stoppedState());
  }

  /**
   * Becomes the guest the document speaks of: its workload, seed, rate, vCPUs and their steps.
   *
   * @throws {GuestError} `ERR_DEVICE_STATE`, `ERR_GUEST_RUNNING`, `ERR_VCPU_CRASHED`,
   *   `ERR_GUEST_CLOSED`; the guest is then unchanged.
   */
  loadDeviceState(state: Uint8Array): void {
    this.#refuseUnlessStopped();
    this.#state = decodeDeviceState(state, this.ram);
    this.#setPrograms();
  }

  /**
   * Proves that every byte of RAM is what it must be.
   *
   * @throws {GuestError} `ERR_GUEST_RUNNING`, `ERR_VCPU_CRASHED`, `ERR_GUEST_CLOSED`
   */
  async verify(): Promise<VerifyResult> {
    return await this.#takeTurn(async () => {
      this.#refuseUnlessStopped();
      return await verifyGuest(this.ram, this.#stoppedState());
    });
  }

  /**
   * Stops the guest and ends its threads; idempotent, and may be tried again when it failed. Once
   * it has resolved no thread looks at RAM.
   *
   * @throws {GuestError} `ERR_VCPU_STUCK` naming the vCPUs that hang in a page fault. No one can
   *   end them, and an ordinary exit of the process would wait for them: it must use exitGroup.
   */
  async close({ limitMillis = CLOSE_LIMIT_MILLIS } = {}): Promise<void> {
    this.#closed = true;
    this.#closing ??= this.#close(limitMillis).finally(() => {
      this.#closing = undefined;
    });
    await this.#closing;
  }

  async #close(limitMillis: number): Promise<void> {
    const limit = AbortSignal.timeout(limitMillis);
    // Not in turn: a pause that waits for a stuck vCPU would hold the turn for ever.
    const awake = this.#threads.filter((thread) => !thread.stopped);
    await Promise.allSettled(awake.map((thread) => thread.obey('pause', limit)));
    const stuck = this.#threads.filter((thread) => !thread.stopped);
    const free = this.#threads.filter((thread) => thread.stopped);
    await Promise.all(free.map((thread) => thread.exit()));
    if (stuck.length > 0) {
      const names = stuck.map((thread) => `vCPU ${thread.index}`).join(', ');
      throw new GuestError('ERR_VCPU_STUCK', names);
    }
    await this.#turn; // a verifier may be at work
  }

  get #vcpus(): readonly VcpuThread[] {
    return this.#threads.slice(0, this.#state.vcpus.length);
  }

  /** The guest must be stopped. Threads that are missing are started, and not waited for. */
  #setPrograms(): void {
    const { workload, seed, fill, rate, vcpus } = this.#state;
    const vcpuCount = vcpus.length;
    for (const [vcpu, { steps }] of vcpus.entries()) {
      const thread = (this.#threads[vcpu] ??= this.#createThread(vcpu));
      thread.setProgram({ workload, seed, fill, vcpu, vcpuCount, rate: rate / vcpuCount }, steps);
    }
  }

  #createThread(vcpu: number): VcpuThread {
    const thread = new VcpuThread(vcpu, this.ram, this.#onCrash, { timeSteps: this.#timeSteps });
    thread.setThrottle(this.#throttle);
    return thread;
  }

  #stoppedState(): DeviceState {
    return { ...this.#state, vcpus: this.#vcpus.map(({ steps }) => ({ steps })) };
  }

  async #obeyAll(kind: 'pause' | 'run', signal?: AbortSignal): Promise<void> {
    if (this.#closed) throw new GuestError('ERR_GUEST_CLOSED');
    const blockUntil = performance.now() + BLOCK_MILLIS;
    await Promise.all(this.#vcpus.map((vcpu) => vcpu.obey(kind, signal, blockUntil)));
  }

  #refuseUnlessStopped(): void {
    if (this.#closed) throw new GuestError('ERR_GUEST_CLOSED');
    for (const { crash } of this.#vcpus) if (crash !== undefined) throw crash;
    if (this.running) throw new GuestError('ERR_GUEST_RUNNING');
  }

  /** Runs `action` when those called before it have ended, whichever way. */
  async #takeTurn<Result>(action: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(action);
    this.#turn = result.catch(() => undefined); // `result` tells the caller; the turn only waits
    return await result;
  }
}
