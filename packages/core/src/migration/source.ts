import { EventEmitter } from 'node:events';
import { type Address, formatAddress } from '@godwit/transport';
import { capabilityNames } from '../capabilities.ts';
import { MigrationError } from '../errors.ts';
import type { Guest } from '../guest.ts';
import type { Parameters } from '../parameters.ts';
import { MigrationRecord } from '../receipt/migration-record.ts';
import type { Receipt } from '../receipt/receipt.ts';
import { throttleOf } from './auto-converge.ts';
import type { PageMap } from './page-map.ts';
import * as refusals from './refusals.ts';
import type { SourceEvents, SourceOptions } from './source-context.ts';
import { type SourceInfo, sourceInfo } from './source-info.ts';
import { SourceRun } from './source-run.ts';
import {
  isRunning,
  type MigrationStatus,
  type SourceStatus,
  sourceTransitions,
  StatusMachine,
} from './status.ts';

/**
 * One outgoing migration, from `setup` to its end, as whoever asked for it sees it. Until the order to
 * run leaves, every way out gives the guest back to this side; from then on it is the destination's and
 * never runs here again: what happens to the link is recovered from, as often as it takes.
 */
export class SourceMigration extends EventEmitter<SourceEvents> {
  /** Resolves when the migration has ended, well or not; never rejects. */
  readonly ended: Promise<void>;
  readonly #options: SourceOptions;
  readonly #status: StatusMachine<typeof sourceTransitions>;
  readonly #run: SourceRun;
  readonly #record = new MigrationRecord('source', () => this.#parameters);
  #parameters: Parameters;
  #passes = 0;
  #end: () => void = () => undefined;

  /** @throws {MigrationError} `ERR_ARGUMENT`: a capability asks of the guest what it cannot do. */
  constructor(guest: Guest, options: SourceOptions) {
    super();
    if (options.capabilities['auto-converge']) throttleOf(guest);
    this.#options = options;
    this.#parameters = options.parameters;
    this.#status = new StatusMachine(sourceTransitions, 'none', (status) => {
      this.#record.entered(status, this.error);
      this.emit('status', status);
    });
    this.#run = new SourceRun({
      guest,
      options,
      status: this.#status,
      tell: {
        pass: () => void this.emit('pass', ++this.#passes),
        stall: (dirtyBytes) => void this.emit('stall', dirtyBytes),
        recovery: (news) => void this.emit('recovery', news),
      },
    });
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** Success means only that it has begun: what comes of it is told by events. */
  start(address: Address): void {
    this.#record.address(formatAddress(address));
    this.#status.move('none', 'setup');
    void this.#run.run(address).then(this.#end);
  }

  get status(): SourceStatus {
    return this.#status.status;
  }

  /** Why the migration stands where it stands: the last failure, until a new link stands. */
  get error(): Error | undefined {
    return this.#run.error;
  }

  info(): SourceInfo {
    const { statistics, nextLink } = this.#run;
    return sourceInfo(this.status, statistics, this.error, nextLink.scheduled);
  }

  /** What this side says of the migration once it has ended, nothing before. */
  receipt(): Receipt | undefined {
    const { capabilities, uuid } = this.#options;
    const facts = {
      ...this.#run.facts,
      uuid,
      capabilities: capabilityNames(capabilities),
      error: this.error,
      migrate: this.info(),
    };
    return this.#record.receipt(facts);
  }

  /** What is dirty here, in at most so many cells. */
  pageMap(cellsMax: number): PageMap {
    return this.#run.pageMap(cellsMax);
  }

  setParameters(parameters: Parameters): void {
    this.#parameters = parameters;
    this.#run.setParameters(parameters);
  }

  /** A wish, as in QEMU: if precopy converges first, the migration completes as precopy. */
  startPostcopy(): void {
    if (!this.#options.capabilities['postcopy-ram']) throw refusals.postcopyIsOff();
    this.#run.wantPostcopy();
  }

  /**
   * `migrate-continue`: ends the pause before the switchover.
   *
   * @param status where the caller believes the migration to stand; as in QEMU any other is refused, and
   *   one that is no pause is no more than a question.
   */
  continueFrom(status: MigrationStatus): void {
    if (status !== this.status) {
      throw new MigrationError('ERR_STATE', `Migration not in expected state: ${this.status}`);
    }
    this.#run.preSwitchover.continue();
  }

  /** Gives up before the order to run; afterwards refused. Wait for `cancelled`. */
  cancel(): void {
    if (this.#status.is('none', 'cancelling', 'cancelled', 'completed', 'failed')) return;
    const isOurs = !this.#run.isHandedOver && this.#status.can('cancelling');
    if (!isOurs) throw refusals.cannotCancel(this.status);
    this.#status.leaveFor('cancelling');
    this.#run.giveUp(new MigrationError('ERR_CANCELLED', 'the migration was cancelled'));
  }

  /**
   * Breaks the link in postcopy, or an attempt at recovery; leads to postcopy-paused. In postcopy-paused,
   * where attempts follow by themselves, it ends them: the next one is asked for.
   */
  pause(): void {
    if (this.#run.nextLink.suspend()) return;
    if (!this.#status.is('postcopy-active', 'postcopy-recover', 'postcopy-recover-setup')) {
      throw refusals.cannotPause(this.status);
    }
    this.#run.breakLink(refusals.pausedByUser());
  }

  /** Shuts down every channel, or the dialling of one: the migration notices a lost link. */
  yank(): void {
    if (isRunning(this.status)) this.#run.breakLink(refusals.yanked());
  }

  /** `migrate` with resume: tries one new link; the outcome is an event. */
  resume(address: Address): void {
    if (!this.#run.nextLink.isAwaited) throw refusals.cannotResume();
    this.#record.address(formatAddress(address));
    this.#run.nextLink.tryAt(address);
  }
}
