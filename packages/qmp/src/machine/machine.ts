import type { KeyObject } from 'node:crypto';
import { EventEmitter } from 'node:events';

import { type CrashJournal, type Guest, SecurityObjects } from '@godwit/core';
import type { Address } from '@godwit/transport';

import { within } from '../deadline.ts';
import { QmpError, QmpSocketError } from '../errors.ts';
import type { MachineGuest, VerifyResult } from './machine-guest.ts';
import { LinkProbe } from './link-probe.ts';
import { Migrations } from './migrations.ts';
import { RunControl } from './run-control.ts';

/** How long `stop` waits for vCPUs that hang in a page fault before it answers. */
export const STOP_LIMIT_MILLIS = 5_000;

export interface MachineOptions {
  /** Stopped; the machine alone decides from now on when it runs. */
  readonly guest: MachineGuest;
  readonly name: string;
  readonly uuid?: string | undefined;
  /** How many vCPU threads may fault. */
  readonly vcpus: number;
  /** The guest waits for cont; on an incoming side once it has arrived. */
  readonly paused?: boolean;
  /** The guest comes from elsewhere: what QEMU calls `-incoming defer`. */
  readonly incoming?: boolean;
  /** What is there before the first object-add; default nothing. */
  readonly security?: SecurityObjects;
  /** Private, ed25519: signs receipts. */
  readonly receiptKey?: KeyObject | undefined;
  /** Where the incoming guest is written to while its link is down. */
  readonly journal?: CrashJournal | undefined;
  /** Default STOP_LIMIT_MILLIS. */
  readonly stopLimitMillis?: number;
}

export interface MachineEvents {
  /** A QMP event, to be sent to every client. */
  event: [name: string, data: object | undefined];
  /** The process is to end: by command, or because a migration leaves it nothing to stay for. */
  quit: [code: number, reason: Error | undefined];
  /** A migration has ended, well or not: there is a receipt of it. */
  ended: [];
  /** A migration is listened for here; on a socket file if it is one. */
  listening: [address: Address];
}

/** QEMU's words (qapi/run-state.json, RunState). */
export const runStates = [
  /** Not run yet. */
  'prelaunch',
  'running',
  'paused',
  /** An incoming migration has not brought the guest yet. */
  'inmigrate',
  /** An outgoing migration has stopped the guest and is not over. */
  'finish-migrate',
  /** The guest has left and never runs here again. */
  'postmigrate',
] as const;

export type RunState = (typeof runStates)[number];

/** One guest and its migrations, as QMP commands see them. What is refused changes nothing. */
export class Machine extends EventEmitter<MachineEvents> {
  readonly name: string;
  readonly migrations: Migrations;
  readonly linkProbe: LinkProbe;
  readonly #guest: MachineGuest;
  readonly #control: RunControl;
  readonly #stopLimitMillis: number;
  readonly #isIncoming: boolean;

  constructor(options: MachineOptions) {
    super();
    const { guest, name, uuid, vcpus, paused = false, incoming = false } = options;
    const { journal, receiptKey, security = new SecurityObjects() } = options;
    this.name = name;
    this.#guest = guest;
    this.#stopLimitMillis = options.stopLimitMillis ?? STOP_LIMIT_MILLIS;
    this.#isIncoming = incoming;
    const tell = (event: string, data?: object): void => void this.emit('event', event, data);
    this.#control = new RunControl(
      guest,
      { wanted: !paused && journal?.left?.isStopped !== true, held: incoming },
      (event) => {
        if (event === 'STOP') this.migrations.incoming?.guestStopped(); // whoever is told may rely on it
        tell(event);
      },
      () => this.migrations.incoming?.guestGoesOn(),
    );
    this.migrations = new Migrations(
      this.#control,
      { uuid, vcpus, incoming, journal, receiptKey, security },
      {
        tell,
        listening: (address) => void this.emit('listening', address),
        ended: () => void this.emit('ended'),
        quit: (code, reason) => void this.emit('quit', code, reason),
      },
    );
    this.linkProbe = new LinkProbe(() => ({
      status: this.migrations.status,
      timeoutMillis: this.migrations.settings.parameters['x-handshake-timeout'],
      security: () => this.migrations.settings.forDialling(),
    }));
  }

  /** Runs the guest, unless it is to wait, or to arrive first. */
  async start(): Promise<void> {
    if (this.#control.meantToRun) await this.#control.cont();
  }

  get runState(): RunState {
    const { isAwaited, hasLeft, isOutgoing } = this.migrations;
    if (isAwaited) return 'inmigrate';
    if (hasLeft) return 'postmigrate';
    if (isOutgoing && this.#control.held) return 'finish-migrate';
    if (this.#control.runs) return 'running';
    return this.#control.hasRun || this.#isIncoming ? 'paused' : 'prelaunch';
  }

  get ram(): Guest['ram'] {
    return this.#guest.ram;
  }

  /**
   * Stops the guest, or keeps it from running when it arrives.
   *
   * @throws {QmpError} it has not stopped in time; it still does as soon as it can. Or the journal does not
   *   take it.
   */
  async stop(): Promise<void> {
    this.#note(false);
    const timeoutMillis = this.#stopLimitMillis;
    try {
      await within(this.#control.stop(), 'stop', { timeoutMillis });
    } catch (error) {
      if (!(error instanceof QmpSocketError)) throw error;
      throw refuse(
        `the guest has not stopped within ${timeoutMillis} ms ` +
          `(run state ${this.runState}, migration ${this.migrations.status}): a vCPU waits for a ` +
          'page and stops as soon as that has come; STOP tells when, cont takes it back',
      );
    }
  }

  /** @throws {QmpError} the guest is not this side's to run, or not yet. */
  async cont(): Promise<void> {
    switch (this.runState) {
      case 'inmigrate':
        this.#note(true);
        return this.#control.contOnArrival();
      case 'finish-migrate':
        // Before the order to run it is still said how the guest arrives: a `stop` is taken back.
        if (this.migrations.status === 'pre-switchover' && !this.#control.wanted) {
          return this.#control.contOnArrival();
        }
        throw refuse('Migration is not finalized yet');
      case 'postmigrate':
        // QEMU allows it, and has two sides run one guest.
        throw refuse(
          'The guest was migrated: it is the destination that may run it, never this side',
        );
      case 'prelaunch':
      case 'paused':
      case 'running':
        this.#note(true);
        return await this.#cont();
    }
  }

  async #cont(): Promise<void> {
    try {
      await this.#control.cont();
    } catch (error) {
      this.migrations.incoming?.guestWanted(this.#control.wanted); // it may not have come to pass
      throw error;
    }
  }

  /** Whoever takes the guest up from here must know what its user wants of it. */
  #note(wanted: boolean): void {
    try {
      this.migrations.incoming?.guestWanted(wanted);
    } catch (error) {
      throw refuse(`that is not in the journal: ${(error as Error).message}`);
    }
  }

  /** @throws {QmpError} the guest runs, lacks pages or cannot be verified. */
  async verify(): Promise<VerifyResult> {
    if (this.#guest.verify === undefined) throw refuse('this guest has no verifier');
    if (this.migrations.isAwaited) throw refuse('Guest is waiting for an incoming migration');
    if (this.migrations.hasMissingPages) {
      throw refuse('pages of the guest are missing here: wait until the migration has completed');
    }
    const { runs, meantToRun } = this.#control;
    if (runs || meantToRun) throw refuse('the guest runs: stop it first');
    return await this.#guest.verify();
  }

  quit(): void {
    this.emit('quit', 0, undefined);
  }
}

function refuse(desc: string): QmpError {
  return new QmpError('GenericError', desc);
}
