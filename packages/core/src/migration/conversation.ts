import {
  assertNever,
  ChannelError,
  type ControlMessage,
  encodeControl,
  FrameType,
  type RamProof,
} from '@godwit/transport';
import { MigrationError } from '../errors.ts';
import { bitmapFrames } from '../memory/bitmap-frames.ts';
import { hasCapability } from './adoption.ts';
import type { DestinationLink, LinkEvent } from './destination-link.ts';
import type { DestinationThreads } from './destination-threads.ts';
import type { IncomingGuest } from './incoming-guest.ts';
import type { PausedGuest } from './paused-guest.ts';
import type { destinationTransitions, StatusMachine } from './status.ts';
import { giveSwitchoverAck, type SwitchoverReady } from './switchover-ack.ts';

export interface ConversationParts {
  readonly link: DestinationLink;
  readonly incoming: IncomingGuest;
  readonly threads: DestinationThreads;
  readonly paused: PausedGuest;
  readonly status: StatusMachine<typeof destinationTransitions>;
  readonly uuid: string | undefined;
  readonly switchoverReady: SwitchoverReady | undefined;
  /** Of each wait for the source's next word that has a limit. */
  readonly handshakeMillis: number;
}

/** What is said on one link of a destination, message by message, from its opening to its end. */
export class Conversation {
  readonly #parts: ConversationParts;
  #deadline: NodeJS.Timeout | undefined;
  /** Of a recovery: the source has asked; it has been told to go on. Each comes once. */
  #isAsked = false;
  #isResumed = false;
  readonly #over = new AbortController();

  constructor(parts: ConversationParts) {
    this.#parts = parts;
  }

  /** @returns when the source has confirmed the end. @throws why the link ended before. */
  async hold(): Promise<void> {
    const { incoming, status, threads } = this.#parts;
    try {
      await threads.running;
      if (incoming.phase === 'new') this.#expectSoon(() => "the source's 'start'");
      if (status.is('postcopy-recover')) this.#expectSoon(() => "the source's 'recover'");
      await this.#converse();
    } finally {
      clearTimeout(this.#deadline);
      this.#over.abort();
    }
  }

  async #converse(): Promise<void> {
    const { link, incoming } = this.#parts;
    for (;;) {
      const event = await link.next();
      if (event === undefined) throw link.lost ?? new ChannelError('ERR_CLOSED', 'the link ended');
      if (event.type === 'control' && event.message.t === 'finished') {
        return incoming.expect('finished', 'complete');
      }
      await this.#take(event);
    }
  }

  async #take(event: LinkEvent): Promise<void> {
    switch (event.type) {
      case 'complete':
        if (await this.completeIfDone()) await this.#tellComplete();
        return;
      case 'damaged':
        this.#parts.threads.lastDamaged = event;
        return await this.#parts.link.requestDamaged();
      case 'device':
        return await this.#load(event);
      case 'control':
        return await this.#obey(event.message);
      default:
        return assertNever(event);
    }
  }

  async #obey(message: ControlMessage): Promise<void> {
    switch (message.t) {
      case 'start':
        return await this.#adopt(message);
      case 'pass':
        return this.#parts.incoming.expect('pass', 'receiving');
      case 'flush':
        this.#parts.incoming.expect('flush', 'receiving');
        return await this.#tellFlushed();
      case 'listen':
        return this.#listen();
      case 'run':
        return await this.#runGuest(message.paused);
      case 'end':
        return this.#expectCompletion();
      case 'abandon':
        return this.#abandon(message.why);
      case 'recover':
        return await this.#tellReceived();
      case 'resume':
        return await this.#resumeLink();
      default:
        throw new ChannelError('ERR_PROTOCOL', `'${message.t}' is not for a destination`);
    }
  }

  async #adopt(start: Extract<ControlMessage, { t: 'start' }>): Promise<void> {
    const { link, incoming, status, uuid, switchoverReady, paused } = this.#parts;
    clearTimeout(this.#deadline); // it has come; how long it takes to get ready is the source's to limit
    const why = await incoming.adopt(start, uuid);
    if (why !== undefined) {
      await link.send({ t: 'refused', why });
      throw new MigrationError('ERR_ARGUMENT', `refused: ${why}`);
    }
    try {
      paused.begin();
    } catch (error) {
      await link.send({ t: 'failed', why: (error as Error).message });
      throw error;
    }
    status.move('setup', 'active');
    link.beat();
    const isChecked = hasCapability(start, 'x-checksum');
    await (isChecked ? link.sendAndSeal({ t: 'started' }) : link.send({ t: 'started' }));
    if (!hasCapability(start, 'switchover-ack')) return;
    void giveSwitchoverAck(link, switchoverReady, this.#over.signal); // whenever that is
  }

  /** What arrived damaged before is asked for before: a page channel may not have told of it yet. */
  async #tellFlushed(): Promise<void> {
    const { link, threads } = this.#parts;
    if (threads.gate.checks) await link.requestDamaged();
    await link.send({ t: 'flushed' });
  }

  #listen(): void {
    const { incoming, status } = this.#parts;
    incoming.listen();
    status.move('active', 'postcopy-active');
    this.#expectSoon(() => 'device state');
  }

  async #load({ state, ram }: Extract<LinkEvent, { type: 'device' }>): Promise<void> {
    const { link, incoming, threads } = this.#parts;
    threads.ramDigests = ram;
    try {
      const proof = incoming.load(state);
      this.#expectSoon(() => 'the order to run');
      const loaded = ram === undefined ? proof : { ...proof, ram };
      await link.sendLoaded(loaded, () => incoming.discard());
    } catch (error) {
      if (!(error instanceof ChannelError)) {
        await link.send({ t: 'failed', why: (error as Error).message });
      }
      throw error;
    }
  }

  async #runGuest(paused: boolean): Promise<void> {
    const { link, incoming, status } = this.#parts;
    this.#expectStep('run', link.epoch === 0 || this.#isAsked);
    clearTimeout(this.#deadline);
    const isFirst = incoming.phase === 'loaded';
    if (isFirst) await this.#parts.paused.goOn();
    await incoming.run(paused, () => {
      // The order has been given: the guest runs, even if the link breaks now (which its reader tells).
      link.serveFaults().catch(() => undefined);
    });
    await this.completeIfDone();
    if (isFirst) this.#parts.paused.arrived();
    await link.send({ t: 'running' });
    if (incoming.phase === 'complete') await this.#tellComplete();
    else if (status.is('postcopy-recover')) this.#expectSoon(() => "the source's 'resume'");
  }

  /** @returns whether the last page was found to be here now. */
  async completeIfDone(): Promise<boolean> {
    const { incoming, status, paused, threads } = this.#parts;
    if (!(await incoming.completeIfDone())) return false;
    paused.end();
    clearTimeout(this.#deadline);
    // Before it is told: whoever listens may ask for a receipt.
    const isSummedUp = incoming.isPostcopy && threads.gate.sumsPages;
    if (isSummedUp) threads.ramDigests = threads.sums.digests();
    status.leaveFor('completed');
    return true;
  }

  async #tellComplete(): Promise<void> {
    const { link } = this.#parts;
    this.#expectSoon(() => "the source's 'finished'");
    link.expectLastWord();
    await link.send({ t: 'complete', ...this.#proof() });
  }

  /** Of a guest that is all here; after postcopy of what was put in place, since it runs already. */
  #proof(): RamProof {
    const { threads, incoming } = this.#parts;
    const proof = threads.received.proof();
    const ram = incoming.isPostcopy ? threads.ramDigests : undefined;
    return ram === undefined ? proof : { ...proof, ram };
  }

  /** The source says that it has sent everything: what is still missing must be close. */
  #expectCompletion(): void {
    const { link, incoming, threads } = this.#parts;
    incoming.expect('end', 'running', 'complete');
    this.#expectStep('end', link.epoch === 0 || this.#isResumed);
    if (incoming.phase === 'complete') return;
    const { received } = threads;
    this.#expectSoon(() => `the last ${received.pagesTotal - received.count} pages`);
  }

  /** Drops the link unless the deadline is cleared in time. */
  #expectSoon(what: () => string): void {
    const { link, handshakeMillis } = this.#parts;
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => {
      link.drop(new ChannelError('ERR_TIMEOUT', `${what()} did not come in time`));
    }, handshakeMillis);
  }

  #abandon(why: string): never {
    const { incoming, status } = this.#parts;
    // In a recovery the order to run may have left: then nobody may take the guest back.
    if (status.is('active', 'postcopy-active')) incoming.discard();
    throw new MigrationError('ERR_DISCARDED', `the source gave up: ${why}`);
  }

  async #tellReceived(): Promise<void> {
    const { link, incoming, threads } = this.#parts;
    incoming.expect('recover', 'loaded', 'running', 'complete');
    this.#expectStep('recover', link.epoch > 0 && !this.#isAsked);
    this.#isAsked = true;
    const phase = incoming.phase as 'loaded' | 'running' | 'complete';
    link.beat();
    const { bitmaps } = threads.received;
    const frames = phase === 'complete' ? [] : [...bitmapFrames(FrameType.RECV_BITMAP, bitmaps)];
    if (phase === 'complete') link.expectLastWord();
    this.#expectSoon(() => "the source's next step of recovery");
    const proof = phase === 'complete' ? this.#proof() : threads.received.proof();
    const recovering = { t: 'recovering', phase, ...proof } as const;
    await link.sendFrames([...frames, encodeControl(recovering)]); // one way through the threads
  }

  /** A recovery goes `recover`, `run` where that was lost, `resume`, on a link that is one. */
  #expectStep(what: string, isDue: boolean): void {
    if (isDue) return;
    const { epoch } = this.#parts.link;
    throw new ChannelError('ERR_PROTOCOL', `'${what}' out of turn on link ${epoch}`);
  }

  async #resumeLink(): Promise<void> {
    const { link, incoming, status, paused } = this.#parts;
    incoming.expect('resume', 'running', 'complete');
    this.#expectStep('resume', this.#isAsked && !this.#isResumed);
    this.#isResumed = true;
    clearTimeout(this.#deadline);
    if (incoming.phase === 'running') await paused.goOn();
    if (status.is('postcopy-recover')) status.move('postcopy-recover', 'postcopy-active');
    await link.send({ t: 'resumed' });
    if (incoming.phase === 'running') await link.serveFaults();
    else this.#expectSoon(() => "the source's 'finished'");
  }
}
