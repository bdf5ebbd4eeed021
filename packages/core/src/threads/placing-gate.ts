import { ChannelError } from '@godwit/transport';
import { PAGE_CHANNELS_MAX } from '../parameters.ts';

/** How pages are taken. */
export const Placing = {
  /** Precopy: straight into guest memory. */
  INTO_MEMORY: 0,
  /** Not at all: nothing is agreed on, stale pages are thrown away, or a precopy's device state has come. */
  CLOSED: 1,
  /** Postcopy: placed whole under a guest that may wait for them. */
  BY_FAULT: 2,
} as const;
export type Placing = (typeof Placing)[keyof typeof Placing];

/** Readers of one link: main, urgent, and the page channels. */
export const MAIN_READER = 0;
export const URGENT_READER = 1;
export const FIRST_PAGE_READER = 2;

const MODE = 0;
const USERFAULTFD = 1;
const BROKEN = 2;
const ARRIVALS = 3;
const PAGE_CHANNELS = 4;
const URGENT_SEPARATE = 5;
const COMPRESSION = 6;
const UNREAD = 7;
const CHECKS = 8;
const DIGESTS = 9;
const BUSY = 10;
/** Messages that the main thread has not taken yet: more than any source has a reason to send ahead. */
const UNREAD_MAX = 64;
/** Upper bound of one sleep, so that a lost wake-up could never stall a link. */
const SLEEP_MILLIS_MAX = 1000;

/**
 * What the readers of a destination share beside the bitmaps: how pages are taken now, and where the
 * channels wait for each other.
 *
 * | word | written by | read by |
 * |---|---|---|
 * | mode | main thread between two links and before 'started'; then the main reader | every reader, before each run of pages |
 * | userfaultfd | main thread, before the source is told 'started' | every reader |
 * | broken | main thread: 1 when the link is dropped, 0 before the next one is read | readers that wait |
 * | arrivals | every reader, counting up at each sync point; main thread between two links | readers |
 * | page channels | main thread, before the source is told 'started' | readers at a sync point |
 * | urgent separate | main thread: 1 when faults begin to be served and requested pages have a channel, 0 between two links | bulk readers |
 * | compression: 1, page channels may | main thread, before the source is told 'started' | readers of page channels |
 * | checks: 1, every frame is a checked one | main thread, before the source is told 'started' | every reader, before it reads a link |
 * | digests: 1, RAM is digested at the end of a precopy; 2, and each page summed up, for a postcopy | main thread, before the source is told 'started' | every reader |
 * | unread | main reader, counting up; main thread, counting down, and 0 between two links | both |
 * | busy, one for each reader | that reader: 1 while it takes a run of pages | main reader |
 *
 * A reader says that it is busy and then looks at the mode; who closes the gate sets the mode and then
 * waits until nobody is busy. So no run is taken in a mode that has ended.
 */
export class PlacingGate {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #hasPeerLeft: () => boolean;

  /**
   * @param shared the buffer of the main thread's, in a worker.
   * @param hasPeerLeft of a reader: whether its own channel has ended, which it does not see while it
   *   waits for the others.
   */
  constructor(shared?: SharedArrayBuffer, hasPeerLeft: () => boolean = () => false) {
    this.#hasPeerLeft = hasPeerLeft;
    const words = BUSY + FIRST_PAGE_READER + PAGE_CHANNELS_MAX;
    this.buffer = shared ?? new SharedArrayBuffer(words * 4);
    this.#words = new Int32Array(this.buffer);
    if (shared === undefined) this.userfaultfd = -1;
  }

  get userfaultfd(): number {
    return Atomics.load(this.#words, USERFAULTFD);
  }

  set userfaultfd(descriptor: number) {
    Atomics.store(this.#words, USERFAULTFD, descriptor);
  }

  /** How many a link of this migration has. */
  get pageChannels(): number {
    return Atomics.load(this.#words, PAGE_CHANNELS);
  }

  set pageChannels(count: number) {
    Atomics.store(this.#words, PAGE_CHANNELS, count);
  }

  /** Requested pages have a channel and a reader of their own: the others may let them go first. */
  get isUrgentSeparate(): boolean {
    return Atomics.load(this.#words, URGENT_SEPARATE) === 1;
  }

  set isUrgentSeparate(separate: boolean) {
    Atomics.store(this.#words, URGENT_SEPARATE, separate ? 1 : 0);
  }

  /** Page channels may bring ZLIB_PAGES: the source has said so. */
  get takesCompressed(): boolean {
    return Atomics.load(this.#words, COMPRESSION) === 1;
  }

  set takesCompressed(isAgreed: boolean) {
    Atomics.store(this.#words, COMPRESSION, isAgreed ? 1 : 0);
  }

  /** With `x-checksum`. */
  get checks(): boolean {
    return Atomics.load(this.#words, CHECKS) === 1;
  }

  set checks(isAgreed: boolean) {
    Atomics.store(this.#words, CHECKS, isAgreed ? 1 : 0);
  }

  /** With `x-ram-digest`. */
  get digestsRam(): boolean {
    return Atomics.load(this.#words, DIGESTS) > 0;
  }

  /** The same, where the guest may come by postcopy. */
  get sumsPages(): boolean {
    return Atomics.load(this.#words, DIGESTS) === 2;
  }

  setDigests(digestsRam: boolean, sumsPages: boolean): void {
    Atomics.store(this.#words, DIGESTS, Number(digestsRam) + Number(digestsRam && sumsPages));
  }

  get mode(): Placing {
    return Atomics.load(this.#words, MODE) as Placing;
  }

  /** The main thread's, while no reader runs: a new link is about to be read. */
  openLink(mode: Placing): void {
    Atomics.store(this.#words, MODE, mode);
    Atomics.store(this.#words, ARRIVALS, 0);
    Atomics.store(this.#words, UNREAD, 0);
    this.isUrgentSeparate = false;
    Atomics.store(this.#words, BROKEN, 0);
  }

  /** The main thread's: the link has ended; who waits for another channel of it is woken. */
  breakLink(): void {
    Atomics.store(this.#words, BROKEN, 1);
    for (let word = 0; word < this.#words.length; word++) Atomics.notify(this.#words, word);
  }

  /** A run of pages comes. @returns how it is to be taken; `leave` follows, unless it is CLOSED. */
  enter(reader: number): Placing {
    Atomics.store(this.#words, BUSY + reader, 1);
    const { mode } = this;
    if (mode === Placing.CLOSED) this.leave(reader);
    return mode;
  }

  leave(reader: number): void {
    Atomics.store(this.#words, BUSY + reader, 0);
    if (this.mode === Placing.CLOSED) Atomics.notify(this.#words, BUSY + reader);
  }

  /**
   * The main reader's: from here on no page is taken on any channel.
   *
   * @throws {ChannelError} `ERR_CLOSED`: the link ended while another reader was busy.
   */
  close(): void {
    Atomics.store(this.#words, MODE, Placing.CLOSED);
    for (let word = BUSY; word < this.#words.length; word++) {
      while (Atomics.load(this.#words, word) === 1) this.#wait(word, 1);
    }
  }

  /** The main thread's, before the source is told 'started': pages may come. */
  takeIntoMemory(): void {
    Atomics.store(this.#words, MODE, Placing.INTO_MEMORY);
  }

  /** The main reader's, after `close`, once the ranges are registered. */
  placeByFault(): void {
    Atomics.store(this.#words, MODE, Placing.BY_FAULT);
  }

  /**
   * All that came before sync point `n` on this channel has been taken; waits until that holds for every
   * channel of the link.
   *
   * @param n counts from 1 on each link.
   * @throws {ChannelError} `ERR_CLOSED`: the link ended meanwhile.
   */
  arrive(n: number): void {
    const channels = this.pageChannels + 1;
    Atomics.add(this.#words, ARRIVALS, 1);
    Atomics.notify(this.#words, ARRIVALS);
    for (;;) {
      const arrivals = Atomics.load(this.#words, ARRIVALS);
      if (arrivals >= n * channels) return;
      this.#wait(ARRIVALS, arrivals);
    }
  }

  /**
   * The main reader's, before it tells the main thread what was said: waits while much of it is unread, so
   * that a source which says more than is listened to fills its own socket and not our memory.
   *
   * @throws {ChannelError} `ERR_CLOSED`: the link ended meanwhile.
   */
  tellOne(): void {
    for (;;) {
      const unread = Atomics.load(this.#words, UNREAD);
      if (unread < UNREAD_MAX) break;
      this.#sleep(UNREAD, unread);
    }
    Atomics.add(this.#words, UNREAD, 1);
  }

  /** The main thread's: it has taken what was told. */
  takeOne(): void {
    Atomics.sub(this.#words, UNREAD, 1);
    Atomics.notify(this.#words, UNREAD);
  }

  /** For another channel of the link, while nobody reads this one. */
  #wait(word: number, value: number): void {
    const isWoken = this.#sleep(word, value) !== 'timed-out';
    if (isWoken || !this.#hasPeerLeft()) return;
    throw new ChannelError(
      'ERR_CLOSED',
      'the source left while its channels waited for each other',
    );
  }

  #sleep(word: number, value: number): 'ok' | 'not-equal' | 'timed-out' {
    if (Atomics.load(this.#words, BROKEN) === 1) {
      throw new ChannelError(
        'ERR_CLOSED',
        'the link ended while its channels waited for each other',
      );
    }
    return Atomics.wait(this.#words, word, value, SLEEP_MILLIS_MAX);
  }
}
