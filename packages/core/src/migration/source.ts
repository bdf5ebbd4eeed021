import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { type Address, ChannelError, newSession } from '@godwit/transport';
import { MigrationError } from '../errors.ts';
import type { Guest } from '../guest.ts';
import type { Parameters } from '../parameters.ts';
import { explainSource } from './explain.ts';
import { Lifeline } from './lifeline.ts';
import { precopy, type Switchover, track } from './precopy.ts';
import { finish, postcopy } from './postcopy.ts';
import {
  dialMain,
  openPages,
  openUrgent,
  resumeLink,
  type SourceSession,
  takeUp,
} from './recovery.ts';
import * as refusals from './refusals.ts';
import { agree, CANCEL_GRACE_MILLIS, resumeHere, sayGoodbye } from './session-ends.ts';
import {
  handshake,
  pageChannels,
  type SourceContext,
  type SourceEvents,
  type SourceOptions,
} from './source-context.ts';
import { type SourceInfo, sourceInfo } from './source-info.ts';
import { SourceLink } from './source-link.ts';
import { SourceStatistics } from './source-statistics.ts';
import { SourceThreads } from './source-threads.ts';
import { isRunning, type SourceStatus, sourceTransitions, StatusMachine } from './status.ts';
import { discardStale, prepareSwitchover, stopGuest } from './switchover.ts';

/**
 * One outgoing migration, from `setup` to its end. Until the order to run leaves, every way out gives
 * the guest back to this side; from then on it is the destination's and never runs here again: what
 * happens to the link is recovered from, as often as it takes.
 */
export class SourceMigration extends EventEmitter<SourceEvents> {
  /** Resolves when the migration has ended, well or not; never rejects. */
  readonly ended: Promise<void>;
  readonly #guest: Guest;
  readonly #options: SourceOptions;
  readonly #status: StatusMachine<typeof sourceTransitions>;
  readonly #threads: SourceThreads;
  readonly #statistics: SourceStatistics;
  readonly #session: SourceSession = { ...newSession(), epoch: 0 };
  readonly #lifeline: Lifeline;
  #parameters: Parameters;
  #end: () => void = () => undefined;
  #link: SourceLink | undefined;
  /** Ends what is under way: the migration before the order to run, one link's life after it. */
  #attempt = new AbortController();
  #resume: ((address: Address) => void) | undefined;
  #postcopyWanted = false;
  #stoppedHere = false;
  /** Set before the order to run leaves, and never cleared: from then on the guest is not ours. */
  #handedOver = false;
  #passes = 0;
  readonly #stallMillis = (): number => this.#parameters['x-handshake-timeout'];
  readonly #tellStatus = (status: SourceStatus): void => void this.emit('status', status);
  readonly #tellPass = (): void => void this.emit('pass', ++this.#passes);
  #error: Error | undefined;

  constructor(guest: Guest, options: SourceOptions) {
    super();
    this.#guest = guest;
    this.#options = options;
    this.#parameters = options.parameters;
    this.#threads = new SourceThreads(guest.ram, pageChannels(options));
    this.#statistics = new SourceStatistics(this.#threads);
    this.setParameters(options.parameters);
    this.#lifeline = new Lifeline(() => {
      this.#link?.drop(new ChannelError('ERR_ABORTED', 'the process ends'));
    });
    this.#status = new StatusMachine(sourceTransitions, 'none', this.#tellStatus);
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** Success means only that it has begun: what comes of it is told by events. */
  start(address: Address): void {
    this.#status.move('none', 'setup');
    void this.#run(address).then(this.#end);
  }

  get status(): SourceStatus {
    return this.#status.status;
  }

  /** Why the migration stands where it stands: the last failure, until a new link stands. */
  get error(): Error | undefined {
    return this.#error;
  }

  info(): SourceInfo {
    return sourceInfo(this.status, this.#statistics, this.#parameters, this.#error);
  }

  setParameters(parameters: Parameters): void {
    this.#parameters = parameters;
    const { control } = this.#threads;
    control.setBandwidths(parameters['max-bandwidth'], parameters['max-postcopy-bandwidth']);
  }

  /** A wish, as in QEMU: if precopy converges first, the migration completes as precopy. */
  startPostcopy(): void {
    if (!this.#options.capabilities['postcopy-ram']) throw refusals.postcopyIsOff();
    this.#postcopyWanted = true;
    if (this.#status.is('setup', 'active')) this.#link?.stopTransfer();
  }

  /** Gives up before the order to run; afterwards refused. Wait for `cancelled`. */
  cancel(): void {
    if (this.#status.is('none', 'cancelling', 'cancelled', 'completed', 'failed')) return;
    const isOurs = !this.#handedOver && this.#status.can('cancelling');
    if (!isOurs) throw refusals.cannotCancel(this.status);
    this.#status.leaveFor('cancelling');
    const reason = new MigrationError('ERR_CANCELLED', 'the migration was cancelled');
    this.#attempt.abort(reason);
    this.#link?.stopTransfer();
    const timer = setTimeout(() => this.#link?.drop(reason), CANCEL_GRACE_MILLIS);
    void this.ended.then(() => clearTimeout(timer));
  }

  /** Breaks the link in postcopy, or an attempt at recovery; leads to postcopy-paused. */
  pause(): void {
    if (!this.#status.is('postcopy-active', 'postcopy-recover', 'postcopy-recover-setup')) {
      throw refusals.cannotPause(this.status);
    }
    this.#break(refusals.pausedByUser());
  }

  /** Shuts down every channel, or the dialling of one: the migration notices a lost link. */
  yank(): void {
    if (isRunning(this.status)) this.#break(refusals.yanked());
  }

  /** `migrate` with resume: tries one new link; the outcome is an event. */
  resume(address: Address): void {
    const resume = this.#resume;
    if (resume === undefined || !this.#status.is('postcopy-paused')) throw refusals.cannotResume();
    this.#resume = undefined;
    this.#attempt = new AbortController();
    this.#status.move('postcopy-paused', 'postcopy-recover-setup');
    resume(address);
  }

  /** The migration in order. From `#handOver` on the source never runs the guest again. */
  async #run(address: Address): Promise<void> {
    try {
      const how = await this.#untilLoaded(address);
      this.#handOver();
      await this.#untilCompleted(async () => {
        await this.#orderRun();
        if (how === 'precopy') return await finish(this.#context());
        this.#status.move('postcopy-device', 'postcopy-active');
        await postcopy(this.#context());
      });
      this.#statistics.ended();
      this.#status.leaveFor('completed');
    } catch (error) {
      assert(!this.#handedOver, error as Error);
      await this.#giveBack(error as Error);
    } finally {
      await this.#threads.end();
      this.#lifeline.release();
    }
  }

  async #untilLoaded(address: Address): Promise<Switchover> {
    await this.#dial(address, { newSession: true });
    await agree(this.#context(), this.#options.uuid);
    await openPages(this.#context(), address, this.#session);
    await track(this.#context(), this.#tellPass);
    this.#statistics.setUp();
    this.#status.move('setup', 'active');
    const isPostcopyWanted = (): boolean => this.#postcopyWanted;
    const how = await precopy(this.#context(), { isPostcopyWanted, onPass: this.#tellPass });
    // All that can be done while the guest runs is done before it stops.
    if (how === 'postcopy') {
      await openUrgent(this.#context(), address, this.#session);
      await discardStale(this.#context());
    }
    await this.#switchOver(how);
    return how;
  }

  async #switchOver(how: Switchover): Promise<void> {
    this.#stoppedHere = this.#guest.running;
    const clock = this.#statistics.stopsGuest();
    await stopGuest(this.#context(), clock);
    // Begun before it is told: whoever listens takes time, and the guest stands still.
    const prepared = prepareSwitchover(this.#context(), how, clock);
    prepared.catch(() => undefined); // awaited below, unless a listener throws
    this.#status.move('active', 'device');
    if (how === 'postcopy') this.#status.move('device', 'postcopy-device');
    this.#tellPass();
    await prepared;
  }

  async #dial(address: Address, opening: { newSession: boolean }): Promise<void> {
    const options = { ...handshake(this.#waits()), ...opening };
    const main = await dialMain(address, this.#session, options);
    this.#link = new SourceLink(this.#threads, main, this.#stallMillis);
  }

  /** Before the order, not after: a lost reply must not run the guest twice. */
  #handOver(): void {
    this.#attempt.signal.throwIfAborted(); // in one step with the next line: a cancel comes before or never
    this.#handedOver = true;
    this.#attempt = new AbortController();
  }

  /** The second half of the commit. A link lost from here on tells nothing about the guest. */
  async #orderRun(): Promise<void> {
    const { link } = this.#context();
    await link.send({ t: 'run', paused: !this.#stoppedHere });
    await link.inbox.expect('running', handshake(this.#waits()));
    this.#statistics.guestRunsThere();
  }

  /** Tries, and tries again whenever somebody asks for it, until the destination has everything. */
  async #untilCompleted(first: () => Promise<void>): Promise<void> {
    for (let attempt = first; ;) {
      try {
        await attempt();
        await this.#link?.close();
        return;
      } catch (error) {
        const address = await this.#paused(error as Error);
        attempt = async () => await this.#recover(address);
      }
    }
  }

  /** @returns where to try again. */
  async #paused(reason: Error): Promise<Address> {
    const { signal } = this.#attempt;
    const error = this.#link?.lost ?? (signal.aborted ? (signal.reason as Error) : reason);
    await this.#link?.close();
    this.#link = undefined;
    this.#error = explainSource(error, this.status, this.#handedOver);
    const resumed = new Promise<Address>((resolve) => {
      this.#resume = resolve;
    });
    this.#status.leaveFor('postcopy-paused');
    return await resumed;
  }

  async #recover(address: Address): Promise<void> {
    this.#session.epoch += 1;
    await this.#dial(address, { newSession: false });
    this.#error = undefined;
    this.#status.move('postcopy-recover-setup', 'postcopy-recover');
    const context = this.#context();
    const phase = await takeUp(context, address, this.#session);
    this.#statistics.guestRunsThere();
    if (phase === 'complete') return await finish(context);
    if (phase === 'loaded') await this.#orderRun(); // the order never arrived: the guest stands still
    await openPages(context, address, this.#session);
    await resumeLink(context);
    this.#status.move('postcopy-recover', 'postcopy-active');
    await postcopy(context);
  }

  #break(reason: Error): void {
    this.#attempt.abort(reason);
    this.#link?.drop(reason);
  }

  /** The guest is ours, as it was; the destination is told, if it still listens. */
  async #giveBack(reason: Error): Promise<void> {
    const error = await resumeHere(this.#guest, this.#stoppedHere, this.#link?.lost ?? reason);
    if (this.#link !== undefined) await sayGoodbye(this.#link, error);
    await this.#threads.untrack();
    if (this.#status.is('cancelling')) return this.#status.move('cancelling', 'cancelled');
    this.#error = explainSource(error, this.status, this.#handedOver);
    this.#status.leaveFor('failed');
  }

  #waits(): { parameters: () => Parameters; signal: AbortSignal } {
    return { parameters: () => this.#parameters, signal: this.#attempt.signal };
  }

  #context(): SourceContext {
    const link = this.#link;
    assert(link !== undefined);
    return {
      guest: this.#guest,
      threads: this.#threads,
      link,
      capabilities: this.#options.capabilities,
      statistics: this.#statistics,
      ...this.#waits(),
    };
  }
}
