import { workloads, type GuestProgram } from '../program.ts';

/** What a vCPU is told to do; the low bits of the command word. */
export const commandKinds = { pause: 0, run: 1, exit: 2 } as const;

export type CommandKind = keyof typeof commandKinds;

/** What one vCPU runs. Set on a stopped vCPU only; the command to run publishes it. */
export interface VcpuProgram extends GuestProgram {
  readonly vcpu: number;
  readonly vcpuCount: number;
  /** Pages/s of this vCPU; 0 is unlimited. */
  readonly rate: number;
}

const COMMAND = 0;
const THROTTLE = 1;
const ACKNOWLEDGED = 16;
const THREAD_ID = 17;
const STEPS = 16;
const PROGRAM = 24;
const CONTROL_BYTES = 256;
const KIND_BITS = 2;

/**
 * The memory a vCPU thread shares with the main thread. What each side writes has a cache line of
 * its own.
 *
 *     0         4          64             68          128      192
 *     | command | throttle | acknowledged | thread id | steps  | workload, seed, fill, vcpu, vcpu count, rate
 *     | i32     | i32      | i32          | i32       | f64    | f64 each
 *
 * A command is a number that only grows; its low bits say what to do. The vCPU answers with the
 * command it obeys, after its last step under the one before: an answer not below a command to
 * pause proves that the vCPU is still, however often pause and resume crossed on the way. A word
 * that said `paused` could be read late and prove nothing.
 */
export class VcpuControl {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(CONTROL_BYTES)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
    this.#doubles = new Float64Array(buffer);
  }

  get command(): number {
    return Atomics.load(this.#words, COMMAND);
  }

  get acknowledged(): number {
    return Atomics.load(this.#words, ACKNOWLEDGED);
  }

  /** Of its time, what the vCPU shall not run, in percent; 0 to 99. */
  get throttle(): number {
    return Atomics.load(this.#words, THROTTLE);
  }

  /** Whoever sleeps for the old throttle looks at the new one at once. */
  set throttle(percentage: number) {
    Atomics.store(this.#words, THROTTLE, percentage);
    Atomics.notify(this.#words, COMMAND);
  }

  /** 0 until the thread has started. */
  get threadId(): number {
    return Atomics.load(this.#words, THREAD_ID);
  }

  /** Exact on a stopped vCPU, never more than a step behind on a running one. */
  get steps(): number {
    return this.#doubles[STEPS] ?? 0;
  }

  get program(): VcpuProgram {
    const [workload = 0, seed = 0, fill = 0, vcpu = 0, vcpuCount = 0, rate = 0] =
      this.#doubles.subarray(PROGRAM);
    return { workload: workloads[workload] ?? 'idle', seed, fill, vcpu, vcpuCount, rate };
  }

  /** Only while the vCPU is stopped. */
  setProgram(program: VcpuProgram, steps: number): void {
    const { workload, seed, fill, vcpu, vcpuCount, rate } = program;
    const fields = [workloads.indexOf(workload), seed, fill, vcpu, vcpuCount, rate];
    this.#doubles.set(fields, PROGRAM);
    this.#doubles[STEPS] = steps;
  }

  /** Does nothing when the last command says the same. @returns the command to be answered. */
  issue(kind: CommandKind): number {
    const last = this.command;
    if (commandKind(last) === kind) return last;
    const command = (((last >> KIND_BITS) + 1) << KIND_BITS) | commandKinds[kind];
    Atomics.store(this.#words, COMMAND, command);
    Atomics.notify(this.#words, COMMAND);
    return command;
  }

  /** The thread's answers; each wakes whoever waits in `nextAnswer`. */
  acknowledge(command: number): void {
    Atomics.store(this.#words, ACKNOWLEDGED, command);
    this.wakeWaiters();
  }

  announceThread(threadId: number): void {
    Atomics.store(this.#words, THREAD_ID, threadId);
    Atomics.notify(this.#words, THREAD_ID);
  }

  /** Blocks the calling thread until the command is no longer `command`, or for that long. */
  waitWhile(command: number, timeoutMillis: number = Infinity): void {
    Atomics.wait(this.#words, COMMAND, command, timeoutMillis);
  }

  /** Resolves once the answer is no longer `seen`, or on `wakeWaiters`. */
  async nextAnswer(seen: number): Promise<void> {
    await Atomics.waitAsync(this.#words, ACKNOWLEDGED, seen).value;
  }

  /** Blocks the calling thread until the answer is no longer `seen`, or for that long. */
  waitForAnswer(seen: number, timeoutMillis: number): void {
    Atomics.wait(this.#words, ACKNOWLEDGED, seen, timeoutMillis);
  }

  wakeWaiters(): void {
    Atomics.notify(this.#words, ACKNOWLEDGED);
    Atomics.notify(this.#words, THREAD_ID);
  }

  /** Resolves once the thread id is known, or on `wakeWaiters`. */
  async threadStart(): Promise<void> {
    await Atomics.waitAsync(this.#words, THREAD_ID, 0).value;
  }

  /** For the vCPU's loop alone: it stores its step count here after every step. */
  stepsCell(): Float64Array {
    return this.#doubles.subarray(STEPS, STEPS + 1);
  }
}

export function commandKind(command: number): CommandKind {
  const kind = command & ((1 << KIND_BITS) - 1);
  if (kind === commandKinds.run) return 'run';
  return kind === commandKinds.exit ? 'exit' : 'pause';
}
