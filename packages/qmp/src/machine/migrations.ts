import {
  type DestinationMigration,
  type DestinationStatus,
  emptyRam,
  isRunning,
  type MigrationStatus,
  type PageMap,
  pageMap,
  type SignedReceipt,
  type SourceMigration,
} from '@godwit/core';
import type { Address } from '@godwit/transport';

import { DirtyRate } from './dirty-rate.ts';
import { Blockers } from './blockers.ts';
import { newIncoming } from './incoming.ts';
import { MigrationSettings } from './migration-settings.ts';
import type { MigrationInfo, MigrationsOptions, MigrationsOwner } from './migrations-owner.ts';
import { handOut } from './receipt.ts';
import { inProgress, isElsewhere, nothingToPause, refuse } from './refusals.ts';
import type { RunControl } from './run-control.ts';
import { newOutgoing, tellOutgoing, type ToldEvent } from './outgoing.ts';

/**
 * The migrations of one guest: it may arrive by one and leave by another, never both at once. What
 * fits which state follows QEMU's tables; each refusal is a QmpError or the engine's own error.
 */
export class Migrations {
  /** Of the guest while no migration has a claim on its memory. */
  readonly dirtyRate: DirtyRate;
  readonly settings: MigrationSettings;
  readonly #control: RunControl;
  readonly #options: MigrationsOptions;
  readonly #owner: MigrationsOwner;
  /** The last one; from its end on for query-migrate. */
  #outgoing: SourceMigration | undefined;
  #incoming: DestinationMigration | undefined;
  /** Until the incoming migration that has brought the guest is dismissed. */
  #isExpected: boolean;
  /** One has brought the guest, and was dismissed. */
  #hasArrived = false;
  readonly #blockers: Blockers;
  /** The process ends: no migration begins any more. */
  #isClosed = false;

  constructor(control: RunControl, options: MigrationsOptions, owner: MigrationsOwner) {
    this.#control = control;
    this.#options = options;
    this.#owner = owner;
    this.#isExpected = options.incoming;
    this.settings = new MigrationSettings(options.security, {
      refuseCapabilities: () => this.#refuseDuringOutgoing(),
      onParameters: (parameters) => this.#outgoing?.setParameters(parameters),
    });
    this.dirtyRate = new DirtyRate(control.engineGuest().ram, {
      settled: async () => {
        // It tells its last status before its threads are gone.
        if (!isRunning(this.#outgoing?.status ?? 'none')) await this.#outgoing?.ended;
      },
      refuseIfUsed: () => this.#refuseIfMemoryIsUsed(),
    });
    this.#blockers = new Blockers(control.engineGuest().ram, () => {
      return this.isAwaited ? undefined : this.#incoming?.status;
    });
  }

  /** The guest is still to arrive. */
  get isAwaited(): boolean {
    return this.#isExpected && this.#incoming?.ownsGuest !== true;
  }

  get isOutgoing(): boolean {
    return this.#outgoing !== undefined;
  }

  get hasLeft(): boolean {
    return this.#outgoing?.status === 'completed';
  }

  get hasMissingPages(): boolean {
    return this.#incoming?.hasMissingPages === true;
  }

  /** A process that has ever been a source speaks as one, as in QEMU. */
  get status(): MigrationStatus {
    return this.#outgoing?.status ?? this.#incoming?.status ?? 'none';
  }

  async info(): Promise<MigrationInfo> {
    const info = this.#outgoing?.info() ?? (await this.#incoming?.info()) ?? {};
    const reasons = this.#blockers.reasons();
    return reasons.length === 0 ? info : { ...info, 'blocked-reasons': reasons };
  }

  /** Of the migration that query-migrate tells of. @throws {QmpError} it has not ended. */
  async receipt(): Promise<SignedReceipt> {
    return handOut(await (this.#outgoing ?? this.#incoming)?.receipt(), this.#options.receiptKey);
  }

  /** A migration runs, in either direction, whose channels `yank` may shut down. */
  get canYank(): boolean {
    return isRunning(this.status);
  }

  /** Shuts down every channel of the migration that runs. Where that leads depends on how far it is. */
  yank(): void {
    (this.#outgoing ?? this.#incoming)?.yank();
  }

  get incoming(): DestinationMigration | undefined {
    return this.#incoming;
  }

  /** As query-migrate: of the last migration that went out, else of the one that came in. */
  pageMap(cellsMax: number): PageMap {
    const migration = this.#outgoing ?? this.#incoming;
    return migration?.pageMap(cellsMax) ?? pageMap('none', this.#control.ram, cellsMax, {});
  }

  /** Success means only that it has begun: what comes of it is told by events. */
  async start(address: Address): Promise<void> {
    this.#refuseDuringOutgoing();
    if (this.isAwaited) throw refuse('Guest is waiting for an incoming migration');
    if (this.hasLeft) throw isElsewhere();
    using _memory = await this.dirtyRate.hold();
    const [blocked] = this.#blockers.look();
    if (blocked !== undefined) throw refuse(blocked);
    await this.#outgoing?.ended; // it tells its last status before its threads are gone
    await this.#incoming?.close(); // completed: it stayed only to tell its source so
    if (this.#isClosed) throw refuse('the process ends');
    const outgoing = newOutgoing(this.#control.engineGuest(), this.settings, this.#options);
    this.#dismissIncoming();
    outgoing.on('status', (status) => {
      if (status !== 'failed' && status !== 'cancelled') return;
      // Also a guest that was paused all along, which the engine does not resume. That one cannot run any
      // more is told by the guest; the migration is over either way.
      this.#control.release().catch(() => undefined);
    });
    tellOutgoing(outgoing, (event, data) => this.#tell(event, data));
    outgoing.on('status', (status) => {
      if (!isRunning(status)) this.#owner.ended();
    });
    this.#outgoing = outgoing;
    outgoing.start(address);
  }

  /** Tries one new link; success means only that it has begun. */
  resume(address: Address): void {
    if (this.#outgoing === undefined) throw refuse('Cannot resume if there is no paused migration');
    this.#outgoing.resume(address);
  }

  startPostcopy(): void {
    if (!this.settings.capabilities['postcopy-ram']) {
      throw refuse('Enable postcopy with migrate_set_capability before the start of migration');
    }
    if (this.#outgoing === undefined) {
      throw refuse('Postcopy must be started after migration has been started');
    }
    this.#outgoing.startPostcopy();
  }

  /** Ends the pause before the switchover. @param state where the caller believes it to stand. */
  continueFrom(state: MigrationStatus): void {
    if (this.#outgoing === undefined) throw refuse('Migration not in expected state: none');
    this.#outgoing.continueFrom(state);
  }

  /** Where there is nothing to cancel nothing happens, as in QEMU; so on a destination. */
  cancel(): void {
    this.#outgoing?.cancel();
  }

  pause(): void {
    const migration = this.#outgoing ?? this.#incoming;
    if (migration === undefined) throw nothingToPause();
    migration.pause();
  }

  /**
   * Whoever has given its guest away may take one again; in QEMU only a process that was started to
   * wait for one.
   *
   * @throws {QmpError} this is no process, or not the time, to wait for a source.
   */
  refuseListening(): void {
    if (this.hasLeft) return;
    if (this.#hasArrived || (this.#incoming !== undefined && this.#incoming.status !== 'failed')) {
      throw refuse('The incoming migration has already been started');
    }
    if (!this.isAwaited) throw refuse("'-incoming' was not specified on the command line");
  }

  /**
   * Waits for a source; after a failure it may be called again.
   *
   * @param exitOnError the process ends when the migration fails, which is before the guest has run.
   * @returns the address, with the port that the system chose.
   */
  async listen(address: Address, exitOnError: boolean): Promise<Address> {
    this.refuseListening();
    const failed = this.#incoming;
    await failed?.close();
    if (this.hasLeft) await this.#clear();
    const incoming = newIncoming(this.#control.engineGuest(), this.settings, this.#options);
    incoming.on('status', (status) => this.#incomingChanged(incoming, status, exitOnError));
    this.#incoming = incoming;
    try {
      const bound = await incoming.listen(address);
      this.#expect();
      this.#owner.listening(bound);
      return bound;
    } catch (error) {
      this.#incoming = failed; // it is still the last one, and there is a receipt of it
      await incoming.close();
      throw error;
    }
  }

  /** @throws {QmpError} nothing waits here to be recovered. */
  refuseRecovery(): void {
    if (this.#incoming?.status === 'postcopy-paused') return;
    throw refuse('Migrate recover can only be run when postcopy is paused.');
  }

  /** Accepts the recovery on this address instead. @throws as `refuseRecovery`. */
  async recoverAt(address: Address): Promise<void> {
    this.refuseRecovery();
    const bound = await this.#incoming?.recoverAt(address);
    if (bound !== undefined) this.#owner.listening(bound);
  }

  /**
   * Before the process ends and the guest with it: the guest is given back to this side.
   *
   * @throws {MigrationError} `ERR_STATE`: it is the destination's or may be, and memory that it lacks
   *   is here. Only the end of the process ends that.
   */
  async closeOutgoing(): Promise<void> {
    this.#isClosed = true;
    await this.dirtyRate.hold(); // for good
    this.#outgoing?.cancel();
    await this.#outgoing?.ended;
  }

  /** After the guest's own end: lets go of listener and link, through which its pages came. */
  async closeIncoming(): Promise<void> {
    await this.#incoming?.close();
  }

  #refuseIfMemoryIsUsed(): void {
    this.#refuseDuringOutgoing();
    if (this.isAwaited) throw refuse('Guest is waiting for an incoming migration');
    if (this.#incoming !== undefined && isRunning(this.#incoming.status)) throw inProgress();
  }

  /** RAM has one migration at a time. */
  #dismissIncoming(): void {
    this.#isExpected = false;
    this.#hasArrived ||= this.#incoming !== undefined;
    this.#incoming = undefined;
  }

  /** What the guest has left behind is nothing to the next one: a page that is not sent is zero. */
  async #clear(): Promise<void> {
    using _memory = await this.dirtyRate.hold();
    await this.#outgoing?.ended;
    emptyRam(this.#control.ram);
  }

  /** From here on this is a process that waits for its guest, whatever it was. */
  #expect(): void {
    if (this.#outgoing === undefined) return;
    this.#outgoing = undefined;
    this.#isExpected = true;
    this.#hasArrived = false;
    this.#control.awaitArrival();
  }

  #incomingChanged(
    incoming: DestinationMigration,
    status: DestinationStatus,
    exitOnError: boolean,
  ): void {
    this.#tell('MIGRATION', { status });
    if (status === 'completed') this.#control.arrived();
    if (status === 'completed' || status === 'failed') this.#owner.ended();
    if (status === 'failed' && exitOnError) this.#owner.quit(1, incoming.error);
  }

  /** As in QEMU only where the `events` capability of this process is on. */
  #tell(event: ToldEvent, data: object): void {
    if (this.settings.capabilities.events) this.#owner.tell(event, data);
  }

  #refuseDuringOutgoing(): void {
    if (this.#outgoing !== undefined && isRunning(this.#outgoing.status)) throw inProgress();
  }
}
