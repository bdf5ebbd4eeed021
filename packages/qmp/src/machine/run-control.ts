import type { Guest } from '@godwit/core';

import type { MachineGuest } from './machine-guest.ts';

/**
 * Whether the guest runs, decided in one place for the two who have a say: the user, with stop and
 * cont, and a migration, which holds the guest still. It runs when the user wants it and nobody
 * holds it. A change is told when it has happened, exactly once, whoever asked for it.
 */
export class RunControl {
  readonly #guest: MachineGuest;
  readonly #tell: (event: 'STOP' | 'RESUME') => void;
  readonly #beforeRun: () => void;
  #wanted: boolean;
  #held: boolean;
  /** By the journal of an incoming migration whose link is down. */
  #frozen = false;
  /** As told last. */
  #runs = false;
  #hasRun = false;
  /** Where the last change leads. */
  #target = false;
  #change: Promise<void> = Promise.resolve();
  #superseded = new AbortController();

  /**
   * @param guest stopped.
   * @param initially what the user wants, and whether a migration holds the guest.
   * @param beforeRun the guest is about to run; where it throws it does not.
   */
  constructor(
    guest: MachineGuest,
    initially: { readonly wanted: boolean; readonly held: boolean },
    tell: (event: 'STOP' | 'RESUME') => void,
    beforeRun: () => void = () => undefined,
  ) {
    this.#guest = guest;
    this.#wanted = initially.wanted;
    this.#held = initially.held;
    this.#tell = tell;
    this.#beforeRun = beforeRun;
  }

  /** Some vCPU may make a step. */
  get runs(): boolean {
    return this.#runs;
  }

  get ram(): Guest['ram'] {
    return this.#guest.ram;
  }

  get hasRun(): boolean {
    return this.#hasRun;
  }

  /** By the user, whoever holds it. */
  get wanted(): boolean {
    return this.#wanted;
  }

  /** By a migration: at its switchover and after it, or until it arrives. */
  get held(): boolean {
    return this.#held;
  }

  /**
   * The user wants it stopped. Whoever stops waiting changes nothing: the guest stops when it can.
   *
   * @returns when it has stopped.
   */
  async stop(): Promise<void> {
    this.#wanted = false;
    await this.#settle();
  }

  /** The user wants it to run, and may: no migration has a claim on it. @returns when it runs. */
  async cont(): Promise<void> {
    this.#wanted = true;
    const isStopping = this.#runs;
    const running = this.release();
    running.catch(() => undefined); // nobody may be waiting
    // A vCPU that hangs in a page fault was not stopped yet: it goes on by itself, some time.
    if (!isStopping) await running;
  }

  /** The user wants it to run once the migration that holds it lets go, here or where it arrives. */
  contOnArrival(): void {
    this.#wanted = true;
  }

  /** The guest has left, and another is to arrive, to run or to wait as it did where it comes from. */
  awaitArrival(): void {
    this.#wanted = true;
  }

  /** All of it is here. Where nobody has let it run it came stopped, and stays so wherever it goes. */
  arrived(): void {
    if (this.#held) this.#wanted = false;
    this.#held = false;
  }

  /** A migration needs it still. @returns when it has stopped. */
  async hold(): Promise<void> {
    this.#held = true;
    await this.#settle();
  }

  /** No migration has a claim on it. @returns when it is as the user wants it. */
  async release(): Promise<void> {
    this.#held = false;
    await this.#settle();
  }

  /** The guest stands still whatever the user says; a vCPU that waits for a page may go on waiting. */
  freeze(): void {
    this.#frozen = true;
    this.#settle().catch(() => undefined); // whether it stands still is asked of the guest
  }

  thaw(): void {
    this.#frozen = false;
    this.#settle().catch(() => undefined); // that a guest cannot run any more is told by the guest
  }

  /** What the engine gets to see: its pause holds the guest, its resume lets go. */
  engineGuest(): Guest {
    return new EngineGuest(this.#guest, this);
  }

  /** It runs, or will without anybody's doing. */
  get meantToRun(): boolean {
    return this.#wanted && !this.#held && !this.#frozen;
  }

  /** @returns when the guest is where it should be; rejects when it cannot be, or not any more. */
  #settle(): Promise<void> {
    const run = this.meantToRun;
    if (run === this.#target) return this.#change;
    this.#target = run;
    this.#superseded.abort(new Error('another command came before the guest had stopped'));
    this.#superseded = new AbortController();
    const { signal } = this.#superseded;
    // The one before tells its own caller how it went.
    const before = this.#change.catch(() => undefined);
    this.#change = before.then(() => this.#turn(run, signal));
    this.#change.catch(() => undefined); // nobody may be waiting
    return this.#change;
  }

  async #turn(run: boolean, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (run) await this.#run(signal);
    else await this.#guest.pause({ signal });
    if (this.#runs === run) return;
    this.#runs = run;
    this.#tell(run ? 'RESUME' : 'STOP');
  }

  async #run(signal: AbortSignal): Promise<void> {
    try {
      this.#beforeRun();
    } catch (error) {
      // Whoever is refused may ask again, and what follows is not refused with it.
      this.#target = false;
      this.#wanted = false;
      this.#change = Promise.resolve();
      throw error;
    }
    // A vCPU that hangs in a page fault may not have noticed that it was to stop; the others may run by now.
    await this.#guest.resume({ signal }).catch((error: unknown) => {
      if (!signal.aborted || error !== signal.reason) throw error;
    });
    this.#hasRun = true;
  }
}

class EngineGuest implements Guest {
  readonly ram: Guest['ram'];
  readonly throttle?: (percentage: number) => void;
  readonly freeze?: NonNullable<Guest['freeze']>;
  readonly #guest: MachineGuest;
  readonly #control: RunControl;

  constructor(guest: MachineGuest, control: RunControl) {
    this.ram = guest.ram;
    // Only a guest that can be throttled is one to the engine.
    if (guest.throttle !== undefined) this.throttle = (percentage) => guest.throttle?.(percentage);
    if (guest.frozenState !== undefined) {
      this.freeze = async (isWaiting) => {
        control.freeze();
        return (await guest.frozenState?.(isWaiting)) ?? new Uint8Array();
      };
    }
    this.#guest = guest;
    this.#control = control;
  }

  get running(): boolean {
    return this.#control.meantToRun;
  }

  get wanted(): boolean {
    return this.#control.wanted;
  }

  async pause(): Promise<void> {
    await this.#control.hold();
  }

  async resume(): Promise<void> {
    await this.#control.release();
  }

  thaw(): void {
    this.#control.thaw();
  }

  saveDeviceState(): Uint8Array {
    return this.#guest.saveDeviceState();
  }

  loadDeviceState(state: Uint8Array): void {
    this.#guest.loadDeviceState(state);
  }
}
