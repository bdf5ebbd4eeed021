import { EventEmitter } from 'node:events';
import {
  type Address,
  assertNever,
  type Channel,
  ChannelError,
  type ControlMessage,
  FrameType,
} from '@godwit/transport';
import { MigrationError } from '../errors.ts';
import type { Guest } from '../guest.ts';
import { bitmapFrames } from '../memory/bitmap-frames.ts';
import { discardPages, prepareForMissing } from '../memory/guest-ram.ts';
import type { Parameters } from '../parameters.ts';
import { hasCapability, reasonToRefuse } from './adoption.ts';
import { type DestinationInfo, destinationInfo } from './destination-info.ts';
import { DestinationLink, type LinkEvent } from './destination-link.ts';
import { DestinationThreads } from './destination-threads.ts';
import { type DestinationPhase, Doorkeeper } from './doorkeeper.ts';
import { Lifeline } from './lifeline.ts';
import { destinationTransitions, type DestinationStatus, StatusMachine } from './status.ts';

export interface DestinationOptions {
  readonly parameters: () => Parameters;
  readonly uuid?: string | undefined;
  /** How many vCPU threads may fault; for the time in which all of them wait. */
  readonly vcpus: number;
  /** Capability postcopy-blocktime. */
  readonly blocktime: boolean;
}

interface DestinationEvents {
  /** Every change of status, exactly once. */
  status: [status: DestinationStatus];
}

/**
 * One incoming migration, from listening to its end. The guest runs here only by the source's order;
 * from then on it is this side's, whatever becomes of the link.
 */
export class DestinationMigration extends EventEmitter<DestinationEvents> {
  readonly #guest: Guest;
  readonly #options: DestinationOptions;
  readonly #status: StatusMachine<typeof destinationTransitions>;
  readonly #threads: DestinationThreads;
  readonly #lifeline = new Lifeline();
  readonly #doorkeeper: Doorkeeper;
  #link: DestinationLink | undefined;
  #phase: DestinationPhase = 'new';
  #isPostcopy = false;
  #error: Error | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;

  constructor(guest: Guest, options: DestinationOptions) {
    super();
    this.#guest = guest;
    this.#options = options;
    this.#threads = new DestinationThreads(guest.ram, options.vcpus);
    this.#doorkeeper = new Doorkeeper(() => this.#phase);
    this.#lifeline.add(() => {
      this.#link?.drop(new ChannelError('ERR_ABORTED', 'the process ends'));
      this.#threads.wakeFaultThread();
    });
    this.#status = new StatusMachine(destinationTransitions, 'none', (status) => {
      this.emit('status', status);
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
    return this.#phase === 'running' || this.#phase === 'complete';
  }

  /** Some page may be missing: who touches guest memory may wait for ever. */
  get hasMissingPages(): boolean {
    return this.#threads.isWatching;
  }

  async info(): Promise<DestinationInfo> {
    return await destinationInfo(
      this.status,
      this.#threads,
      this.#options.blocktime,
      this.#doorkeeper.address,
      this.#error,
    );
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
    const bound = await this.#doorkeeper.listen(address, this.#handshakeMillis);
    this.#status.move('none', 'setup');
    this.#running = this.#run();
    return bound;
  }

  /** `migrate-recover`: accepts the recovery on this address instead. @throws as `listen`. */
  async recoverAt(address: Address): Promise<Address> {
    if (!this.#status.is('postcopy-paused')) {
      const message = `Migrate recover can only be run when postcopy is paused, not in ${this.status}`;
      throw new MigrationError('ERR_STATE', message);
    }
    return await this.#doorkeeper.listen(address, this.#handshakeMillis);
  }

  /** Breaks the link in postcopy or recovery; leads to postcopy-paused. */
  pause(): void {
    if (!this.#status.is('postcopy-active', 'postcopy-recover')) {
      const message = `migrate-pause is only possible in postcopy, not in ${this.status}`;
      throw new MigrationError('ERR_STATE', message);
    }
    const message = 'the migration was paused by the user';
    this.#link?.drop(new MigrationError('ERR_POSTCOPY_PAUSED_BY_USER', message));
  }

  /**
   * Lets go of everything: listener, link, threads. With pages missing under a guest that ran here,
   * the userfaultfd stays: only the end of the process may take it away.
   */
  async close(): Promise<void> {
    await this.#doorkeeper.close();
    this.#link?.drop(new ChannelError('ERR_ABORTED', 'the destination was closed'));
    this.#running ??= this.#end();
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
    const mode = this.#threads.isWatching ? 'postcopy' : 'precopy';
    const link = new DestinationLink(this.#threads, main, mode);
    this.#link = link;
    this.#doorkeeper.onUrgent = (urgent) => link.attachUrgent(urgent);
    this.#doorkeeper.onDisplaced = (reason) => link.drop(reason);
    if (this.#status.is('postcopy-paused')) {
      this.#error = undefined;
      this.#status.move('postcopy-paused', 'postcopy-recover');
    }
    if (this.#phase === 'new') this.#expectSoon(link, () => "the source's 'start'");
    let reason: Error | undefined;
    try {
      await this.#converse(link);
    } catch (error) {
      reason = link.lost ?? (error as Error);
    }
    clearTimeout(this.#deadline);
    await link.close();
    this.#link = undefined;
    return reason === undefined ? true : await this.#afterLink(reason);
  }

  /** @returns when the source has confirmed the end. @throws why the link ended before. */
  async #converse(link: DestinationLink): Promise<void> {
    for (;;) {
      const event = await link.next();
      if (event === undefined) throw link.lost ?? new ChannelError('ERR_CLOSED', 'the link ended');
      if (
        event.type === 'control' &&
        event.message.t === 'finished' &&
        this.#phase === 'complete'
      ) {
        return;
      }
      await this.#take(event, link);
    }
  }

  async #take(event: LinkEvent, link: DestinationLink): Promise<void> {
    switch (event.type) {
      case 'complete':
        if (await this.#completeIfDone()) await this.#tellComplete(link);
        return;
      case 'device':
        return await this.#load(event.state, link);
      case 'control':
        return await this.#obey(event.message, link);
      default:
        return assertNever(event);
    }
  }

  async #obey(message: ControlMessage, link: DestinationLink): Promise<void> {
    switch (message.t) {
      case 'start':
        return await this.#adopt(message, link);
      case 'pass':
        return;
      case 'listen':
        this.#expectPhase(message.t, 'receiving');
        this.#threads.nowWatching();
        this.#isPostcopy = true;
        return this.#status.move('active', 'postcopy-active');
      case 'run':
        return await this.#runGuest(message.paused, link);
      case 'end':
        return this.#expectCompletion(link);
      case 'abandon':
        this.#expectPhase(message.t, 'new', 'receiving', 'loaded');
        this.#phase = 'abandoned';
        throw new MigrationError('ERR_DISCARDED', `the source gave up: ${message.why}`);
      case 'recover':
        return await this.#tellReceived(link);
      case 'resume':
        return await this.#resumeLink(link);
      default:
        throw new ChannelError('ERR_PROTOCOL', `'${message.t}' is not for a destination`);
    }
  }

  async #adopt(
    start: Extract<ControlMessage, { t: 'start' }>,
    link: DestinationLink,
  ): Promise<void> {
    this.#expectPhase('start', 'new');
    const { ram } = this.#guest;
    let why = reasonToRefuse(start, { blocks: ram, uuid: this.#options.uuid });
    if (why === undefined && hasCapability(start, 'postcopy-ram')) {
      try {
        for (const block of ram) prepareForMissing(block);
        await this.#threads.preparePostcopy();
      } catch (error) {
        why = `capability 'postcopy-ram' cannot be had here: ${(error as Error).message}; see godwit doctor`;
      }
    }
    if (why !== undefined) {
      await link.send({ t: 'refused', why });
      throw new MigrationError('ERR_ARGUMENT', `refused: ${why}`);
    }
    clearTimeout(this.#deadline);
    this.#phase = 'receiving';
    this.#status.move('setup', 'active');
    await link.send({ t: 'started' });
  }

  async #load(state: Uint8Array, link: DestinationLink): Promise<void> {
    this.#expectPhase('device state', 'receiving');
    const { received } = this.#threads;
    try {
      if (!this.#isPostcopy && !received.isComplete) {
        const missing = received.pagesTotal - received.count;
        throw new MigrationError('ERR_INCOMPLETE', `${missing} pages have not arrived`);
      }
      this.#guest.loadDeviceState(state);
    } catch (error) {
      await link.send({ t: 'failed', why: (error as Error).message });
      throw error;
    }
    // From here on the source may order to run: a lost link does not tell us that it did not.
    this.#phase = 'loaded';
    await link.send({ t: 'loaded', ...received.proof() });
  }

  async #runGuest(paused: boolean, link: DestinationLink): Promise<void> {
    this.#expectPhase('run', 'loaded', 'running', 'complete');
    if (this.#phase === 'loaded') {
      this.#phase = 'running';
      if (this.#isPostcopy) await link.serveFaults();
      if (!paused) await this.#guest.resume();
    }
    await this.#completeIfDone();
    await link.send({ t: 'running' });
    if (this.#phase === 'complete') await this.#tellComplete(link);
  }

  /** The userfaultfd is let go of only here: when no page is missing. @returns whether it happened now. */
  async #completeIfDone(): Promise<boolean> {
    const { received } = this.#threads;
    if (this.#phase !== 'running' || !received.isComplete) return false;
    clearTimeout(this.#deadline);
    await this.#threads.stopWatching();
    this.#phase = 'complete';
    this.#error = undefined;
    this.#status.leaveFor('completed');
    return true;
  }

  async #tellComplete(link: DestinationLink): Promise<void> {
    await link.send({ t: 'complete', ...this.#threads.received.proof() });
  }

  /** The source says that it has sent everything: what is still missing must be close. */
  #expectCompletion(link: DestinationLink): void {
    this.#expectPhase('end', 'running', 'complete');
    if (this.#phase === 'complete') return;
    const { received } = this.#threads;
    this.#expectSoon(link, () => `the last ${received.pagesTotal - received.count} pages`);
  }

  /** Drops the link unless the deadline is cleared in time. */
  #expectSoon(link: DestinationLink, what: () => string): void {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => {
      link.drop(new ChannelError('ERR_TIMEOUT', `${what()} did not come in time`));
    }, this.#handshakeMillis);
  }

  async #tellReceived(link: DestinationLink): Promise<void> {
    this.#expectPhase('recover', 'loaded', 'running', 'complete');
    const { received } = this.#threads;
    const phase = this.#phase as 'loaded' | 'running' | 'complete';
    if (phase !== 'complete') {
      await link.sendFrames([...bitmapFrames(FrameType.RECV_BITMAP, received.bitmaps)]);
    }
    await link.send({ t: 'recovering', phase, ...received.proof() });
  }

  async #resumeLink(link: DestinationLink): Promise<void> {
    this.#expectPhase('resume', 'running', 'complete');
    if (this.#status.is('postcopy-recover'))
      this.#status.move('postcopy-recover', 'postcopy-active');
    await link.send({ t: 'resumed' });
    if (this.#phase === 'running') await link.serveFaults();
  }

  /** The link is gone; what that means depends on how far the guest got. @returns whether it is over. */
  async #afterLink(reason: Error): Promise<boolean> {
    switch (this.#phase) {
      case 'new':
        // Whoever it was has not begun a migration: wait for the next.
        this.#doorkeeper.forgetSession();
        this.#error = reason;
        return false;
      case 'receiving':
      case 'abandoned':
        this.#fail(reason);
        return true;
      case 'loaded':
      case 'running':
        if (await this.#completeIfDone()) return false; // the link died after its last page
        this.#error = this.#explain(reason);
        this.#status.leaveFor('postcopy-paused');
        return false;
      case 'complete':
        return false; // the source may come back to ask
      default:
        return assertNever(this.#phase);
    }
  }

  #fail(reason: Error): void {
    for (const block of this.#guest.ram) discardPages(block, 0, block.byteLength / block.pageBytes);
    this.#error =
      reason instanceof MigrationError
        ? reason
        : new MigrationError('ERR_DISCARDED', reason.message, { cause: reason });
    this.#status.leaveFor('failed');
  }

  #explain(reason: Error): MigrationError {
    if (reason instanceof MigrationError) return reason;
    const code = this.#phase === 'loaded' ? 'ERR_RUN_UNCONFIRMED' : 'ERR_POSTCOPY_LOST';
    return new MigrationError(code, reason.message, { cause: reason });
  }

  #expectPhase(what: string, ...phases: DestinationPhase[]): void {
    if (phases.includes(this.#phase)) return;
    throw new ChannelError('ERR_PROTOCOL', `'${what}' does not belong here (${this.#phase})`);
  }

  get #handshakeMillis(): number {
    return this.#options.parameters()['x-handshake-timeout'];
  }

  async #end(): Promise<void> {
    await this.#doorkeeper.close();
    await this.#threads.end({ keepUserfaultfd: this.ownsGuest && this.#threads.isWatching });
    this.#lifeline.release();
  }
}
