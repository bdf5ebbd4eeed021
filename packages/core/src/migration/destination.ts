import { EventEmitter } from 'node:events';
import { exitGroup } from '@godwit/posix';
import {
  type Address,
  assertNever,
  type Channel,
  ChannelError,
  formatAddress,
} from '@godwit/transport';
import { MigrationError } from '../errors.ts';
import type { Guest } from '../guest.ts';
import { MigrationRecord } from '../receipt/migration-record.ts';
import type { Receipt } from '../receipt/receipt.ts';
import { Conversation } from './conversation.ts';
import { destinationFacts } from './destination-facts.ts';
import { type DestinationInfo, destinationInfo } from './destination-info.ts';
import type { DestinationEvents, DestinationOptions } from './destination-options.ts';
import { DestinationLink } from './destination-link.ts';
import { DestinationThreads } from './destination-threads.ts';
import { Doorkeeper } from './doorkeeper.ts';
import { explainDestination, explainDiscarded, isAboutTls } from './explain.ts';
import { IncomingGuest } from './incoming-guest.ts';
import { withLimit } from './limit.ts';
import { listenSecurity } from './listen-security.ts';
import { Lifeline } from './lifeline.ts';
import type { PageMap } from './page-map.ts';
import { checkJournalled, PausedGuest } from './paused-guest.ts';
import { cannotPause, cannotRecover, pausedByUser, yanked } from './refusals.ts';
import { destinationTransitions, type DestinationStatus, StatusMachine } from './status.ts';

/** How long a destination that is closed waits for the source to note its completion. */
const LAST_WORD_MILLIS = 1000;

/**
 * One incoming migration, from listening to its end. The guest runs here only by the source's order;
 * from then on it is this side's, whatever becomes of the link.
 */
export class DestinationMigration extends EventEmitter<DestinationEvents> {
  /**
   * Resolves when the migration has ended, well or not, and has let go of everything; never rejects.
   * After `completed` that is when the source has noted it, or on `close`.
   */
  readonly ended: Promise<void>;
  readonly #options: DestinationOptions;
  readonly #status: StatusMachine<typeof destinationTransitions>;
  readonly #threads: DestinationThreads;
  readonly #incoming: IncomingGuest;
  readonly #doorkeeper: Doorkeeper;
  readonly #paused: PausedGuest;
  readonly #lifeline: Lifeline;
  readonly #record = new MigrationRecord('destination', () => this.#options.parameters());
  #link: DestinationLink | undefined;
  #error: Error | undefined;
  #running: Promise<void> | undefined;
  #lastLinkEnded: Promise<unknown> = Promise.resolve();
  #tellEnd: () => void = () => undefined;

  /** @throws {MigrationError} `ERR_ARGUMENT`: this guest cannot have a journal. */
  constructor(guest: Guest, options: DestinationOptions) {
    super();
    if (options.journal !== undefined) checkJournalled(guest);
    this.#options = options;
    this.#threads = new DestinationThreads(guest.ram, options.vcpus ?? 1);
    this.#incoming = new IncomingGuest(guest, this.#threads);
    this.#doorkeeper = new Doorkeeper({
      phase: () => this.#incoming.phase,
      pageChannels: () => this.#threads.gate.pageChannels,
      security: () => listenSecurity(options),
    });
    this.#doorkeeper.onRefused = (reason) => {
      if (isAboutTls(reason) && this.#incoming.phase === 'new') this.#error = reason;
    };
    this.#paused = new PausedGuest({
      journal: options.journal,
      guest,
      threads: this.#threads,
      incoming: this.#incoming,
      doorkeeper: this.#doorkeeper,
    });
    this.#lifeline = new Lifeline(() => {
      this.#link?.drop(new ChannelError('ERR_ABORTED', 'the process ends'));
      this.#threads.wakeFaultThread();
      // A vCPU that waits for a page cannot be ended alone, and must not outlive what serves it.
      if (this.ownsGuest && this.hasMissingPages) exitGroup(Number(process.exitCode ?? 0));
    });
    this.#status = new StatusMachine(destinationTransitions, 'none', (status) => {
      this.#record.entered(status, this.#error);
      this.emit('status', status);
    });
    this.ended = new Promise((resolve) => {
      this.#tellEnd = resolve;
    });
  }

  get status(): DestinationStatus {
    return this.#status.status;
  }

  get error(): Error | undefined {
    return this.#error;
  }

  /** The guest runs here, or is this side's to run. */
  get ownsGuest(): boolean {
    return this.#incoming.isOurs;
  }

  /** Some page may be missing: who touches guest memory may wait for ever. */
  get hasMissingPages(): boolean {
    return this.#threads.isWatching;
  }

  async info(): Promise<DestinationInfo> {
    return await destinationInfo(
      this.status,
      this.#threads,
      this.#options.blocktime ?? false,
      this.#doorkeeper.address,
      this.#error,
    );
  }

  /** As of `SourceMigration`. */
  async receipt(): Promise<Receipt | undefined> {
    const facts = destinationFacts(this.#incoming, this.#threads, this.#status.is('completed'));
    const { uuid } = this.#options;
    const { migrationId } = this.#doorkeeper;
    const told = { migrationId, uuid, error: this.#error, migrate: await this.info() };
    return this.#record.receipt({ ...facts, ...told });
  }

  /** @param cellsMax as of `pageMap`. */
  pageMap(cellsMax: number): PageMap {
    return this.#threads.pageMap(cellsMax);
  }

  /**
   * Waits for a source.
   *
   * @returns the address, with the port that the system chose.
   * @throws {ChannelError} `ERR_LISTEN`; nothing changed, another address may be tried.
   */
  async listen(address: Address): Promise<Address> {
    if (!this.#status.is('none')) {
      throw new MigrationError('ERR_STATE', `the incoming migration is already in ${this.status}`);
    }
    const left = this.#options.journal?.left;
    if (left !== undefined && this.#incoming.phase === 'new') await this.#paused.restore(left);
    const bound = await this.#doorkeeper.listen(address, this.#handshakeMillis);
    this.#record.address(formatAddress(bound));
    this.#threads.startPageChannels(this.#options.pageChannels ?? 0);
    this.#status.move('none', 'setup');
    if (left !== undefined) this.#status.move('setup', 'postcopy-paused');
    this.#running = this.#run();
    return bound;
  }

  /** `migrate-recover`: accepts the recovery on this address instead. @throws as `listen`. */
  async recoverAt(address: Address): Promise<Address> {
    if (!this.#status.is('postcopy-paused')) throw cannotRecover(this.status);
    const bound = await this.#doorkeeper.listen(address, this.#handshakeMillis);
    this.#record.address(formatAddress(bound));
    return bound;
  }

  /** The user's word, before it is obeyed. @throws it cannot be in the journal, and must be refused. */
  guestWanted(wanted: boolean): void {
    this.#paused.wants(wanted);
  }

  /** The user has stopped the guest, every vCPU: with a journal it may be taken up from here. */
  guestStopped(): void {
    this.#error = this.#paused.stopped() ?? this.#error;
  }

  /** Before it goes on after a stop, here or in the process that left it. @throws it must not. */
  guestGoesOn(): void {
    this.#paused.beforeRun();
  }

  /** Breaks the link in postcopy or recovery; leads to postcopy-paused. */
  pause(): void {
    if (!this.#status.is('postcopy-active', 'postcopy-recover')) throw cannotPause(this.status);
    this.#link?.drop(pausedByUser());
  }

  /** Shuts down every channel of the link; who listens goes on to. */
  yank(): void {
    this.#link?.drop(yanked());
  }

  /**
   * Lets go of everything: listener, link, threads. With pages missing under a guest that ran here,
   * the userfaultfd stays: only the end of the process may take it away.
   */
  async close(): Promise<void> {
    await this.#doorkeeper.close();
    this.#running ??= this.#end();
    if (this.#incoming.phase === 'complete' && this.#link !== undefined) {
      // The source's last word is on its way: without it, it would have to recover to learn the end.
      const limit = { timeoutMillis: LAST_WORD_MILLIS, what: "the source's 'finished'" };
      await withLimit(this.#running, limit).catch(() => undefined);
    }
    this.#link?.drop(new ChannelError('ERR_ABORTED', 'the destination was closed'));
    await this.#running;
  }

  async #run(): Promise<void> {
    for (;;) {
      const main = await this.#doorkeeper.nextMain();
      if (main === undefined) break;
      const isOver = await this.#serveLink(main);
      if (isOver) break;
    }
    await this.#end();
  }

  /** @returns whether the migration is over, rather than this link. */
  async #serveLink(main: Channel): Promise<boolean> {
    const { placing } = this.#paused;
    const link = new DestinationLink(this.#threads, main, placing, this.#options.parameters);
    this.#link = link;
    this.#doorkeeper.serve((channel, index) => link.attach(channel, index));
    this.#doorkeeper.onDisplaced = (reason) => link.drop(reason);
    if (this.#status.is('postcopy-paused')) {
      this.#error = undefined;
      this.#status.move('postcopy-paused', 'postcopy-recover');
    }
    const conversation = new Conversation({
      link,
      incoming: this.#incoming,
      threads: this.#threads,
      paused: this.#paused,
      status: this.#status,
      uuid: this.#options.uuid,
      switchoverReady: this.#options.switchoverReady,
      handshakeMillis: this.#handshakeMillis,
    });
    let reason: Error | undefined;
    try {
      await conversation.hold();
    } catch (error) {
      reason = error instanceof MigrationError ? error : (link.lost ?? (error as Error));
    }
    await link.close();
    this.#lastLinkEnded = link.ended;
    this.#link = undefined;
    await conversation.completeIfDone(); // the link may have died after its last page
    if (this.#incoming.phase === 'complete') this.#error = undefined;
    return reason === undefined ? true : await this.#afterLink(reason);
  }

  /** The link is gone; what that means depends on how far the guest got. @returns whether it is over. */
  async #afterLink(reason: Error): Promise<boolean> {
    const { phase } = this.#incoming;
    switch (phase) {
      case 'new':
        // Whoever it was has not begun a migration: wait for the next.
        this.#doorkeeper.forgetSession();
        this.#error = reason;
        return false;
      case 'receiving':
        this.#incoming.discard();
        this.#incoming.throwAway();
        this.#fail(reason);
        return true;
      case 'discarded':
        this.#incoming.throwAway();
        this.#fail(reason);
        return true;
      case 'loaded':
      case 'running':
        this.#error = explainDestination(reason, phase, await this.#paused.pause());
        this.#status.leaveFor('postcopy-paused');
        return false;
      case 'complete':
        return false; // the source may come back to ask
      default:
        return assertNever(phase);
    }
  }

  #fail(reason: Error): void {
    this.#error = explainDiscarded(reason);
    this.#status.leaveFor('failed');
  }

  get #handshakeMillis(): number {
    return this.#options.parameters()['x-handshake-timeout'];
  }

  async #end(): Promise<void> {
    await this.#doorkeeper.close();
    if (this.#incoming.phase === 'discarded') this.#paused.end();
    await this.#threads.end({ keepUserfaultfd: this.ownsGuest && this.#paused.mayMiss });
    await this.#lastLinkEnded;
    this.#lifeline.release();
    this.#tellEnd();
  }
}
