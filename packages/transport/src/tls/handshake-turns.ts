import { ChannelError } from '../errors.ts';

/** Threads of openings over TLS: more than the session's own peer has under way at once. */
export const HANDSHAKES_MAX = 32;

/** Threads that begin at once. It costs each of them so much that more would only wait for each other. */
const BEGINNING_MAX = 4;

/** One that is there may go on for so long, whoever waits. */
const MILLIS_MIN = 500;

interface Opening {
  destroy(reason: ChannelError): void;
}

/** Of one opening. */
export interface HandshakeThread {
  begin(): void;
  /** Resolves when it is there, or never will be. */
  readonly begun: Promise<void>;
  /** Resolves when it is gone. */
  readonly ended: Promise<void>;
}

interface Handshake {
  readonly opening: Opening;
  readonly from: string;
  readonly thread: HandshakeThread;
  state: 'waiting' | 'beginning' | 'running' | 'dropped';
  since: number;
}

/**
 * Whose handshake is next. To begin a thread costs this side more than a connection costs a stranger, and
 * one that is given up takes a while to end: it counts until then. The next is of the address that has
 * fewest; of these it is in turn the newest, which a crowd that came before does not hold up, and the one
 * that has waited longest, which those who come after it do not. Where there is no room, the oldest of the
 * address that has most is dropped, once it has had its time.
 */
export class HandshakeTurns {
  readonly #threads = new Set<Handshake>();
  #waiting: Handshake[] = [];
  #isNewestNext = false;
  #timer: NodeJS.Timeout | undefined;

  ask(opening: Opening, from: string, thread: HandshakeThread): void {
    this.#waiting.push({ opening, from, thread, state: 'waiting', since: 0 });
    this.#next();
  }

  /** The thread is a channel's from here on. */
  opened(opening: Opening): void {
    for (const handshake of this.#threads) {
      if (handshake.opening === opening) this.#threads.delete(handshake);
    }
    this.#next();
  }

  /** Waits no more; its thread, if it has one, is about to end. */
  givenUp(opening: Opening): void {
    this.#waiting = this.#waiting.filter((handshake) => handshake.opening !== opening);
  }

  #next(): void {
    while (this.#threads.size < HANDSHAKES_MAX && this.#countOf('beginning') < BEGINNING_MAX) {
      const handshake = this.#pick();
      if (handshake === undefined) return;
      void this.#run(handshake);
    }
    if (this.#threads.size === HANDSHAKES_MAX) this.#makeRoom();
  }

  #pick(): Handshake | undefined {
    if (this.#waiting.length === 0) return undefined;
    const threads = this.#countByAddress();
    this.#isNewestNext = !this.#isNewestNext;
    const inOrder = this.#isNewestNext ? this.#waiting.toReversed() : this.#waiting;
    const [handshake] = inOrder.toSorted((a, b) => threads(a.from) - threads(b.from));
    this.#waiting = this.#waiting.filter((other) => other !== handshake);
    return handshake;
  }

  async #run(handshake: Handshake): Promise<void> {
    const { thread } = handshake;
    this.#threads.add(handshake);
    handshake.state = 'beginning';
    thread.begin();
    await thread.begun;
    if (handshake.state === 'beginning') handshake.state = 'running';
    handshake.since = performance.now();
    this.#next();
    await thread.ended;
    if (this.#threads.delete(handshake)) this.#next();
  }

  /** As many are dropped as wait, and no more than can begin. */
  #makeRoom(): void {
    clearTimeout(this.#timer);
    const wanted = Math.min(this.#waiting.length, BEGINNING_MAX) - this.#countOf('dropped');
    for (let left = wanted; left > 0; left -= 1) {
      const threads = this.#countByAddress();
      const [oldest] = [...this.#threads]
        .filter(({ state }) => state === 'running')
        .toSorted((a, b) => threads(b.from) - threads(a.from));
      if (oldest === undefined) return;
      const millis = oldest.since + MILLIS_MIN - performance.now();
      if (millis > 0) {
        this.#timer = setTimeout(() => this.#next(), millis).unref();
        return;
      }
      oldest.state = 'dropped';
      oldest.opening.destroy(new ChannelError('ERR_REFUSED', 'too many openings under way'));
    }
  }

  #countOf(state: Handshake['state']): number {
    return [...this.#threads].filter((handshake) => handshake.state === state).length;
  }

  #countByAddress(): (from: string) => number {
    const counts = new Map<string, number>();
    for (const { from } of this.#threads) counts.set(from, (counts.get(from) ?? 0) + 1);
    return (from) => counts.get(from) ?? 0;
  }
}
