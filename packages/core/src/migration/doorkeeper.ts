import {
  type Address,
  type Admission,
  assertNever,
  type Channel,
  ChannelError,
  type Hello,
  isSameMigration,
  Listener,
  type ListenOptions,
  sameAddress,
  type Session,
} from '@godwit/transport';
import { PAGE_CHANNELS_MAX } from '../parameters.ts';
import { ProbeServer } from '../probe/probe-server.ts';
import type { DestinationPhase } from './incoming-guest.ts';

/** What admission depends on, as it is now. */
interface DoorkeeperState {
  readonly phase: () => DestinationPhase;
  readonly pageChannels: () => number;
  /** How each connection must be secured. */
  readonly security: NonNullable<ListenOptions['security']>;
}

/** Takes a further channel of a link; `index` is among those of its role. */
type Join = (channel: Channel, index: number) => void;

/** Who may come in, and who comes in place of whom. */
export class Doorkeeper {
  onDisplaced: (reason: Error) => void = () => undefined;
  onRefused: (reason: ChannelError) => void = () => undefined;
  readonly #state: DoorkeeperState;
  #session: Session | undefined;
  #epoch = 0;
  #listener: Listener | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #waitingMain: Channel | undefined;
  /** Further channels of the link that is not served yet, where they were faster. */
  readonly #waiting: { readonly channel: Channel; readonly index: number }[] = [];
  #join: Join | undefined;
  readonly #probes = new ProbeServer();
  #closed = false;
  #wake: () => void = () => undefined;

  constructor(state: DoorkeeperState) {
    this.#state = state;
  }

  /** Of the session that is under way, or was last. */
  get migrationId(): Uint8Array | undefined {
    return this.#session?.migrationId;
  }

  get address(): Address | undefined {
    return this.#listener?.address;
  }

  get session(): Session | undefined {
    return this.#session;
  }

  /** Of the newest main connection. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Another process has served this session so far. */
  restore(session: Session, epoch: number): void {
    this.#session = session;
    this.#epoch = epoch;
  }

  /** @throws {ChannelError} `ERR_LISTEN`; who listened before still does. */
  async listen(address: Address, timeoutMillis: number): Promise<Address> {
    const turn = this.#turn.then(async () => await this.#listen(address, timeoutMillis));
    this.#turn = turn.catch(() => undefined);
    return await turn;
  }

  /** One at a time: of two calls at once the second finds what the first has opened. */
  async #listen(address: Address, timeoutMillis: number): Promise<Address> {
    const old = this.#listener;
    if (old !== undefined && sameAddress(old.address, address)) return old.address;
    const listener = await Listener.open(address, {
      timeoutMillis,
      admit: (hello) => this.#admit(hello),
      onChannel: (channel, hello) => this.#enter(channel, hello),
      onRefused: (error) => this.onRefused(error),
      security: this.#state.security,
    });
    if (this.#closed) {
      await listener.close();
      throw new ChannelError('ERR_ABORTED', 'the incoming migration has ended');
    }
    this.#listener = listener;
    await old?.close();
    return listener.address;
  }

  /** @returns the next main connection, or nothing once closed. */
  async nextMain(): Promise<Channel | undefined> {
    for (;;) {
      if (this.#closed) return undefined;
      const main = this.#waitingMain;
      this.#waitingMain = undefined;
      if (main !== undefined) return main;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** The link of the newest main connection is served: its further channels go there, now or later. */
  serve(join: Join): void {
    this.#join = join;
    for (const { channel, index } of this.#waiting.splice(0)) join(channel, index);
  }

  /** Nothing had begun: another source may come. */
  forgetSession(): void {
    this.#session = undefined;
    this.#epoch = 0;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#wake();
    this.#waitingMain?.close();
    this.#closeWaiting();
    await this.#probes.close();
    await this.#turn;
    await this.#listener?.close();
    this.#listener = undefined;
  }

  #admit(hello: Hello): Admission {
    const session = this.#session;
    const epoch = this.#epoch;
    if (hello.newSession) {
      if (session !== undefined || this.#state.phase() !== 'new') {
        return { refuse: 'busy', reason: 'another migration has begun here', epoch };
      }
      if (hello.role === 'probe' && this.#probes.isBusy) {
        return { refuse: 'busy', reason: 'another probe is under way here', epoch };
      }
      return { session: sessionOf(hello), epoch: 0 };
    }
    if (session === undefined || !isSameMigration(session, hello)) {
      return { refuse: 'other-session', reason: 'no such migration here', epoch };
    }
    switch (hello.role) {
      case 'main':
        return this.#admitRecovery(session, hello);
      case 'urgent':
        if (hello.epoch === epoch) return { session, epoch };
        return { refuse: 'stale-epoch', reason: `the link is in epoch ${epoch}`, epoch };
      case 'page':
        return this.#admitPages(session, hello);
      case 'probe':
        return { refuse: 'unexpected-role', reason: 'a probe belongs to no migration', epoch };
      default:
        return assertNever(hello.role);
    }
  }

  #admitPages(session: Session, hello: Hello): Admission {
    const epoch = this.#epoch;
    if (hello.epoch !== epoch) {
      return { refuse: 'stale-epoch', reason: `the link is in epoch ${epoch}`, epoch };
    }
    const agreed = this.#state.pageChannels();
    if (hello.index < agreed) return { session, epoch };
    return { refuse: 'unexpected-role', reason: `${agreed} page channels were agreed on`, epoch };
  }

  #admitRecovery(session: Session, hello: Hello): Admission {
    const epoch = this.#epoch;
    if (hello.epoch <= epoch) {
      return { refuse: 'stale-epoch', reason: `the link is in epoch ${epoch}`, epoch };
    }
    const phase = this.#state.phase();
    if (phase === 'loaded' || phase === 'running' || phase === 'complete') {
      return { session, epoch: hello.epoch };
    }
    return { refuse: 'unexpected-role', reason: `nothing to recover here (${phase})`, epoch };
  }

  /** Proved: a newer main connection displaces what is left of the older one. */
  #enter(channel: Channel, hello: Hello): void {
    if (this.#closed) return channel.close();
    if (channel.role === 'probe') return this.#enterProbe(channel);
    if (channel.role !== 'main') return this.#enterLink(channel, hello.index);
    // Admitted on what held then; of two that came at once, one has entered meanwhile.
    const isLate = hello.newSession ? this.#session !== undefined : hello.epoch <= this.#epoch;
    if (isLate) return channel.close();
    if (hello.newSession) this.#session = sessionOf(hello);
    this.#epoch = channel.epoch;
    this.#probes.end();
    this.#waitingMain?.close();
    this.#waitingMain = channel;
    this.#closeWaiting();
    this.#join = undefined;
    this.onDisplaced(new ChannelError('ERR_CLOSED', 'the source has opened a new link'));
    this.#wake();
  }

  /** Of two that came at once, and of a source and a probe, one has entered meanwhile. */
  #enterProbe(channel: Channel): void {
    if (this.#probes.isBusy || this.#session !== undefined) return channel.close();
    this.#probes.serve(channel);
  }

  #enterLink(channel: Channel, index: number): void {
    if (channel.epoch !== this.#epoch) return channel.close(); // a newer link came meanwhile
    if (this.#join !== undefined) return this.#join(channel, index);
    if (this.#waiting.length > PAGE_CHANNELS_MAX) return channel.close(); // more than one link has
    this.#waiting.push({ channel, index });
  }

  #closeWaiting(): void {
    for (const { channel } of this.#waiting.splice(0)) channel.close();
  }
}

/** The first hello hands the secret over where the others prove it. */
function sessionOf(hello: Hello): Session {
  return { migrationId: hello.migrationId, secret: hello.proof };
}
