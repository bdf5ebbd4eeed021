import assert from 'node:assert/strict';
import { type Address, ChannelError, newSession } from '@godwit/transport';
import type { Guest } from '../guest.ts';
import type { Parameters } from '../parameters.ts';
import { startAutoConverge } from './auto-converge.ts';
import { AutoRecovery } from './auto-recovery.ts';
import { explainSource } from './explain.ts';
import { Lifeline } from './lifeline.ts';
import { NextLink } from './next-link.ts';
import type { PageMap } from './page-map.ts';
import { precopy, type PrecopyWishes, type Switchover, track, wishSync } from './precopy.ts';
import { finish, postcopy } from './postcopy.ts';
import {
  dialMain,
  openPages,
  openUrgent,
  resumeLink,
  type SourceSession,
  takeUp,
} from './recovery.ts';
import { PreSwitchover } from './pre-switchover.ts';
import { agree, CANCEL_GRACE_MILLIS, resumeHere, sayGoodbye } from './session-ends.ts';
import {
  dialling,
  handshake,
  heartbeatMillis,
  pageChannels,
  type SourceContext,
  type SourceNews,
  type SourceOptions,
  type SourceRunParts,
} from './source-context.ts';
import { sourceFacts } from './source-facts.ts';
import { SourceLink } from './source-link.ts';
import { SourceStatistics } from './source-statistics.ts';
import { SourceThreads } from './source-threads.ts';
import type { sourceTransitions, StatusMachine } from './status.ts';
import { discardStale, prepareSwitchover, stopGuest } from './switchover.ts';

/**
 * An outgoing migration in order, step by step, with all that it holds: threads, link, and the guest
 * until that is handed over. What may be asked of it in which state is `SourceMigration`'s affair.
 */
export class SourceRun {
  readonly statistics: SourceStatistics;
  readonly preSwitchover = new PreSwitchover();
  readonly nextLink: NextLink;
  readonly #guest: Guest;
  readonly #options: SourceOptions;
  readonly #status: StatusMachine<typeof sourceTransitions>;
  readonly #tell: SourceNews;
  readonly #threads: SourceThreads;
  readonly #session: SourceSession = { ...newSession(), epoch: 0 };
  readonly #lifeline: Lifeline;
  #parameters: Parameters;
  #grace: NodeJS.Timeout | undefined;
  #link: SourceLink | undefined;
  /** Ends what is under way: the migration before the order to run, one link's life after it. */
  #attempt = new AbortController();
  readonly #wishes: PrecopyWishes = { postcopy: false, sync: false };
  #stoppedHere = false;
  /** As of the order to run: whoever has stopped the guest meanwhile does not want it to run there. */
  #arrivesRunning = false;
  /** Set before the order to run leaves, and never cleared: from then on the guest is not ours. */
  #handedOver = false;
  #error: Error | undefined;

  constructor({ guest, options, status, tell }: SourceRunParts) {
    this.#guest = guest;
    this.#options = options;
    this.#status = status;
    this.#tell = tell;
    this.#parameters = options.parameters;
    const autoRecovery = options.capabilities['x-auto-recover']
      ? new AutoRecovery(() => this.#parameters, tell.recovery)
      : undefined;
    this.nextLink = new NextLink(autoRecovery, () => {
      this.#attempt = new AbortController();
      this.#status.move('postcopy-paused', 'postcopy-recover-setup');
    });
    this.#threads = new SourceThreads(guest.ram, pageChannels(options), heartbeatMillis(options));
    this.statistics = new SourceStatistics(this.#threads, options.parameters['downtime-limit']);
    this.setParameters(options.parameters);
    this.#lifeline = new Lifeline(() => {
      this.#link?.drop(new ChannelError('ERR_ABORTED', 'the process ends'));
    });
  }

  /**
   * The migration in order, from `setup` to its end, well or not; never rejects. From `#handOver` on the
   * source never runs the guest again.
   */
  async run(address: Address): Promise<void> {
    try {
      const how = await this.#untilLoaded(address);
      this.#handOver();
      await this.#untilCompleted(async () => {
        await this.#orderRun();
        if (how === 'precopy') return await finish(this.#context());
        this.#status.move('postcopy-device', 'postcopy-active');
        await postcopy(this.#context());
      });
      this.statistics.ended();
      this.#status.leaveFor('completed');
    } catch (error) {
      assert(!this.#handedOver, error as Error);
      await this.#giveBack(error as Error);
    } finally {
      clearTimeout(this.#grace);
      await this.#threads.end();
      await this.#link?.ended;
      this.#lifeline.release();
    }
  }

  /** The last failure, until a new link stands. */
  get error(): Error | undefined {
    return this.#error ?? this.#threads.ramDifference;
  }

  get facts(): ReturnType<typeof sourceFacts> {
    return sourceFacts(this.#session, this.#threads, this.#status.is('completed'));
  }

  get isHandedOver(): boolean {
    return this.#handedOver;
  }

  pageMap(cellsMax: number): PageMap {
    return this.#threads.pageMap(cellsMax);
  }

  setParameters(parameters: Parameters): void {
    const before = this.#parameters;
    this.#parameters = parameters;
    const mayFitNow = (['downtime-limit', 'avail-switchover-bandwidth'] as const).some(
      (name) => parameters[name] !== before[name],
    );
    if (mayFitNow && this.#status.is('active')) wishSync(this.#context(), this.#wishes);
    this.#threads.control.setParameters(parameters);
  }

  wantPostcopy(): void {
    this.#wishes.postcopy = true;
    if (this.#status.is('setup', 'active')) this.#link?.stopTransfer();
  }

  /** Ends what is under way before the order to run; the status says why. */
  giveUp(reason: Error): void {
    this.#attempt.abort(reason);
    this.#link?.stopTransfer();
    this.#grace = setTimeout(() => this.#link?.drop(reason), CANCEL_GRACE_MILLIS);
  }

  /** Ends the link, or the attempt to open one, after the order to run. */
  breakLink(reason: Error): void {
    this.#attempt.abort(reason);
    this.#link?.drop(reason);
  }

  async #untilLoaded(address: Address): Promise<Switchover> {
    await this.#threads.untilRunning(this.#attempt.signal);
    await this.#dial(address, { newSession: true });
    await agree(this.#context(), this.#options.uuid);
    await openPages(this.#context(), address, this.#session);
    await track(this.#context(), this.#tell.pass);
    this.statistics.setUp();
    this.#status.move('setup', 'active');
    using autoConverge = startAutoConverge(this.#context()); // until the guest stands still, or is given back
    const how = await precopy(this.#context(), {
      wishes: this.#wishes,
      autoConverge,
      onPass: this.#tell.pass,
      onStall: this.#tell.stall,
    });
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
    const clock = this.statistics.stopsGuest();
    await stopGuest(this.#context(), clock);
    if (this.#options.capabilities['pause-before-switchover']) {
      const tell = (): void => this.#status.move('active', 'pre-switchover');
      await this.preSwitchover.wait(this.#context(), tell);
    }
    clock.partEnds();
    // Begun before it is told: whoever listens takes time, and the guest stands still.
    const prepared = prepareSwitchover(this.#context(), how, clock);
    prepared.catch(() => undefined); // awaited below, unless a listener throws
    this.#status.leaveFor('device');
    if (how === 'postcopy') this.#status.move('device', 'postcopy-device');
    this.#tell.pass();
    await prepared;
  }

  async #dial(address: Address, opening: { newSession: boolean }): Promise<void> {
    this.nextLink.dialled(address);
    const main = await dialMain(address, this.#session, { ...dialling(this.#waits()), ...opening });
    this.#link = new SourceLink(this.#threads, main, () => this.#parameters);
  }

  /** Before the order, not after: a lost reply must not run the guest twice. */
  #handOver(): void {
    this.#attempt.signal.throwIfAborted(); // in one step with the next line: a cancel comes before or never
    this.#handedOver = true;
    this.#arrivesRunning = this.#guest.wanted ?? this.#stoppedHere;
    this.#attempt = new AbortController();
  }

  /** The second half of the commit. A link lost from here on tells nothing about the guest. */
  async #orderRun(): Promise<void> {
    const { link } = this.#context();
    await link.send({ t: 'run', paused: !this.#arrivesRunning });
    await link.inbox.expect('running', handshake(this.#waits()));
    this.statistics.guestRunsThere();
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
    const lost = this.#link?.lost;
    await this.#link?.close();
    // Who breaks what is breaking already means it all the same.
    const error = signal.aborted ? (signal.reason as Error) : (lost ?? reason);
    this.#link = undefined;
    const explained = explainSource(error, this.#status.status, this.#handedOver);
    this.#error = explained;
    const next = this.nextLink.address(); // before it is told: a listener may have one
    this.#status.leaveFor('postcopy-paused');
    // Who has paused a migration will resume it.
    if (explained.code !== 'ERR_POSTCOPY_PAUSED_BY_USER') this.nextLink.tryUnattended();
    return await next;
  }

  async #recover(address: Address): Promise<void> {
    this.#session.epoch += 1;
    await this.#dial(address, { newSession: false });
    this.#error = undefined;
    this.#status.move('postcopy-recover-setup', 'postcopy-recover');
    const context = this.#context();
    const phase = await takeUp(context, address, this.#session);
    this.statistics.guestRunsThere();
    if (phase === 'complete') return await finish(context);
    if (phase === 'loaded') await this.#orderRun(); // the order never arrived: the guest stands still
    await openPages(context, address, this.#session);
    await resumeLink(context);
    this.nextLink.stands();
    this.#status.move('postcopy-recover', 'postcopy-active');
    await postcopy(context);
  }

  /** The guest is ours, as it was; the destination is told, if it still listens. */
  async #giveBack(reason: Error): Promise<void> {
    const error = await resumeHere(this.#guest, this.#stoppedHere, this.#link?.lost ?? reason);
    if (this.#link !== undefined) await sayGoodbye(this.#link, error);
    await this.#threads.untrack();
    if (this.#status.is('cancelling')) return this.#status.move('cancelling', 'cancelled');
    this.#error = explainSource(error, this.#status.status, this.#handedOver);
    this.#status.leaveFor('failed');
  }

  #waits(): Pick<SourceContext, 'parameters' | 'signal' | 'security'> {
    const { security } = this.#options;
    return { parameters: () => this.#parameters, signal: this.#attempt.signal, security };
  }

  #context(): SourceContext {
    const link = this.#link;
    assert(link !== undefined);
    return {
      guest: this.#guest,
      threads: this.#threads,
      link,
      capabilities: this.#options.capabilities,
      statistics: this.statistics,
      ...this.#waits(),
    };
  }
}
