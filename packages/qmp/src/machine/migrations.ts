import {
  type Capabilities,
  capabilityDefaults,
  changeCapabilities,
  changeParameters,
  type DestinationInfo,
  DestinationMigration,
  type DestinationStatus,
  isRunning,
  type MigrationStatus,
  type PageMap,
  pageMap,
  parameterDefaults,
  type Parameters,
  type SourceInfo,
  SourceMigration,
} from '@godwit/core';
import type { Address } from '@godwit/transport';

import { QmpError } from '../errors.ts';
import { DirtyRate } from './dirty-rate.ts';
import type { RunControl } from './run-control.ts';

export interface MigrationsOptions {
  readonly uuid: string | undefined;
  readonly vcpus: number;
  readonly incoming: boolean;
}

/** What the owner does with what happens here. */
export interface MigrationsOwner {
  tell(event: string, data: object): void;
  listening(address: Address): void;
  quit(code: number, reason: Error | undefined): void;
}

/**
 * The migrations of one guest: it may arrive by one and leave by another, never both at once. What
 * fits which state follows QEMU's tables; each refusal is a QmpError or the engine's own error.
 */
export class Migrations {
  /** Of the guest while no migration has a claim on its memory. */
  readonly dirtyRate: DirtyRate;
  readonly #control: RunControl;
  readonly #options: MigrationsOptions;
  readonly #owner: MigrationsOwner;
  #capabilities: Capabilities = capabilityDefaults;
  #parameters: Parameters = parameterDefaults;
  /** The last one; from its end on for query-migrate. */
  #outgoing: SourceMigration | undefined;
  #incoming: DestinationMigration | undefined;
  /** Until the incoming migration that has brought the guest is dismissed. */
  #isExpected: boolean;

  constructor(control: RunControl, options: MigrationsOptions, owner: MigrationsOwner) {
    this.#control = control;
    this.#options = options;
    this.#owner = owner;
    this.#isExpected = options.incoming;
    this.dirtyRate = new DirtyRate(control.engineGuest().ram, {
      settled: async () => await this.#lastEnded(),
      refuseIfUsed: () => this.#refuseIfMemoryIsUsed(),
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

  async info(): Promise<SourceInfo | DestinationInfo> {
    return this.#outgoing?.info() ?? (await this.#incoming?.info()) ?? {};
  }

  /** As query-migrate: of the last migration that went out, else of the one that came in. */
  pageMap(cellsMax: number): PageMap {
    const migration = this.#outgoing ?? this.#incoming;
    return migration?.pageMap(cellsMax) ?? pageMap('none', this.#control.ram, cellsMax, {});
  }

  get capabilities(): Capabilities {
    return this.#capabilities;
  }

  changeCapabilities(changes: readonly { capability: string; state: boolean }[]): void {
    this.#refuseDuringOutgoing();
    this.#capabilities = changeCapabilities(this.#capabilities, changes);
  }

  get parameters(): Parameters {
    return this.#parameters;
  }

  /** Takes effect at once, in a running migration too. */
  changeParameters(changes: Readonly<Record<string, unknown>>): void {
    this.#parameters = changeParameters(this.#parameters, changes);
    this.#outgoing?.setParameters(this.#parameters);
  }

  /** Success means only that it has begun: what comes of it is told by events. */
  async start(address: Address): Promise<void> {
    this.#refuseDuringOutgoing();
    if (this.isAwaited) throw refuse('Guest is waiting for an incoming migration');
    // Memory that is still arriving cannot leave; QEMU looks at the outgoing side only.
    if (this.#incoming !== undefined && isRunning(this.#incoming.status)) throw inProgress();
    if (this.hasLeft) {
      throw refuse("Can't migrate the vm that was paused due to previous migration");
    }
    using _memory = await this.dirtyRate.hold();
    await this.#outgoing?.ended; // it tells its last status before its threads are gone
    await this.#dismissIncoming();
    const outgoing = new SourceMigration(this.#control.engineGuest(), {
      capabilities: this.#capabilities,
      parameters: this.#parameters,
      uuid: this.#options.uuid,
    });
    outgoing.on('pass', (pass) => this.#tell('MIGRATION_PASS', { pass }));
    outgoing.on('stall', (dirtyBytes) =>
      this.#tell('X_MIGRATION_STALL', { remaining: dirtyBytes }),
    );
    outgoing.on('recovery', (news) => this.#tell('X_MIGRATION_RECOVERY', news));
    outgoing.on('status', (status) => {
      // Also a guest that was paused all along, which the engine does not resume.
      if (status === 'failed' || status === 'cancelled') this.#letGo();
      this.#tell('MIGRATION', { status });
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
    if (!this.#capabilities['postcopy-ram']) {
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
    if (migration === undefined) {
      throw refuse('migrate-pause is only possible in postcopy, and there is no migration');
    }
    migration.pause();
  }

  /**
   * Waits for a source; after a failure it may be called again.
   *
   * @param exitOnError the process ends when the migration fails, which is before the guest has run.
   * @returns the address, with the port that the system chose.
   */
  async listen(address: Address, exitOnError: boolean): Promise<Address> {
    const old = this.#incoming;
    if (old !== undefined && old.status !== 'failed') {
      throw refuse('The incoming migration has already been started');
    }
    if (!this.isAwaited) throw refuse("'-incoming' was not specified on the command line");
    await old?.close();
    const incoming = this.#newIncoming();
    incoming.on('status', (status) => this.#incomingChanged(incoming, status, exitOnError));
    this.#incoming = incoming;
    try {
      const bound = await incoming.listen(address);
      this.#owner.listening(bound);
      return bound;
    } catch (error) {
      this.#incoming = undefined;
      await incoming.close();
      throw error;
    }
  }

  async recoverAt(address: Address): Promise<void> {
    if (this.#incoming === undefined) {
      throw refuse('Migrate recover can only be run when postcopy is paused.');
    }
    this.#owner.listening(await this.#incoming.recoverAt(address));
  }

  /**
   * Before the process ends and the guest with it: the guest is given back to this side.
   *
   * @throws {MigrationError} `ERR_STATE`: it is the destination's or may be, and memory that it lacks
   *   is here. Only the end of the process ends that.
   */
  async closeOutgoing(): Promise<void> {
    await this.dirtyRate.hold(); // for good
    this.#outgoing?.cancel();
    await this.#outgoing?.ended;
  }

  /** After the guest's own end: lets go of listener and link, through which its pages came. */
  async closeIncoming(): Promise<void> {
    await this.#incoming?.close();
  }

  /** A migration tells its last status before its threads are gone. */
  async #lastEnded(): Promise<void> {
    const outgoing = this.#outgoing;
    if (outgoing !== undefined && !isRunning(outgoing.status)) await outgoing.ended;
  }

  #refuseIfMemoryIsUsed(): void {
    this.#refuseDuringOutgoing();
    if (this.isAwaited) throw refuse('Guest is waiting for an incoming migration');
    if (this.#incoming !== undefined && isRunning(this.#incoming.status)) throw inProgress();
  }

  /** Completed, it stayed only to tell its source so; and RAM has one migration at a time. */
  async #dismissIncoming(): Promise<void> {
    const arrived = this.#incoming;
    this.#isExpected = false;
    this.#incoming = undefined;
    await arrived?.close();
  }

  #newIncoming(): DestinationMigration {
    const capabilities = (): Capabilities => this.#capabilities;
    const { uuid, vcpus } = this.#options;
    return new DestinationMigration(this.#control.engineGuest(), {
      parameters: () => this.#parameters,
      uuid,
      vcpus,
      pageChannels: this.#capabilities.multifd ? this.#parameters['multifd-channels'] : 0,
      // As it is when somebody asks: it may be switched on after the listening has begun.
      get blocktime() {
        return capabilities()['postcopy-blocktime'];
      },
    });
  }

  #incomingChanged(
    incoming: DestinationMigration,
    status: DestinationStatus,
    exitOnError: boolean,
  ): void {
    this.#tell('MIGRATION', { status });
    if (status === 'failed' && exitOnError) this.#owner.quit(1, incoming.error);
  }

  /** As in QEMU only where the `events` capability of this process is on. */
  #tell(
    event: 'MIGRATION' | 'MIGRATION_PASS' | 'X_MIGRATION_STALL' | 'X_MIGRATION_RECOVERY',
    data: object,
  ): void {
    if (this.#capabilities.events) this.#owner.tell(event, data);
  }

  #letGo(): void {
    // That a guest cannot run any more is told by the guest; the migration is over either way.
    this.#control.release().catch(() => undefined);
  }

  #refuseDuringOutgoing(): void {
    if (this.#outgoing !== undefined && isRunning(this.#outgoing.status)) throw inProgress();
  }
}

function inProgress(): QmpError {
  return refuse("There's a migration process in progress");
}

function refuse(desc: string): QmpError {
  return new QmpError('GenericError', desc);
}
