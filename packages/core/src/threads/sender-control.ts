import { type Parameters, type ZeroPageDetection, zeroPageDetections } from '../parameters.ts';

/** Words, in Int32 units; the bandwidths follow as float64. */
const STOP = 0;
const WAKE = 1;
const URGENT_DESCRIPTOR = 2;
const REQUESTS_HEAD = 3;
const REQUESTS_TAIL = 4;
const NEXT_CHUNK = 5;
const ZERO_PAGE_DETECTION = 6;
const UNREAD = 7;
/** An even number of words, so that the bandwidths are aligned. */
const REQUESTS = 8;
/** A power of two. */
const REQUESTS_MAX = 1024;
const BANDWIDTH_OFFSET = (REQUESTS + REQUESTS_MAX * 2) * 4;
/** Upper bound of one sleep, so that a lost wake-up could never stall the return path. */
const SLEEP_MILLIS_MAX = 1000;

/** Which limit a transfer keeps. */
export type Rate = 'precopy' | 'postcopy' | 'unlimited';

/**
 * What the threads of the source share beside the bitmaps.
 *
 * | word | written by | read by |
 * |---|---|---|
 * | stop | main: the number of the transfer that shall end | ram-sender |
 * | wake | everybody, counting up | ram-sender, which sleeps on it |
 * | urgent descriptor | main, before the destination may ask | return-path |
 * | next chunk: how far the bulk of this transfer is | main, before a transfer; every sender, counting up | senders |
 * | zero-page-detection | main | senders, return-path, before each claim |
 * | unread: what was told and not taken yet | return-path, counting up; main, counting down | return-path, which sleeps on it |
 * | requests: a ring of pages, not claimed; head | every sender, by exchange | return-path |
 * | tail and entries | return-path | ram-sender |
 * | bandwidths | main | ram-sender |
 */
export class SenderControl {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #bandwidths: Float64Array;

  /** @param shared the buffer of the main thread's, in a worker. */
  constructor(shared?: SharedArrayBuffer) {
    this.buffer = shared ?? new SharedArrayBuffer(BANDWIDTH_OFFSET + 16);
    this.#words = new Int32Array(this.buffer);
    this.#bandwidths = new Float64Array(this.buffer, BANDWIDTH_OFFSET, 2);
    if (shared !== undefined) return;
    this.urgentDescriptor = -1;
    this.zeroPageDetection = 'multifd';
  }

  /** Ends the transfer of this number at its next batch. A number is never used again. */
  stop(transfer: number): void {
    Atomics.store(this.#words, STOP, transfer);
    this.wake();
  }

  isStopped(transfer: number): boolean {
    return Atomics.load(this.#words, STOP) === transfer;
  }

  wake(): void {
    Atomics.add(this.#words, WAKE, 1);
    Atomics.notify(this.#words, WAKE);
  }

  /** To be read before looking at whatever `sleep` shall not miss a change of. */
  get wakeCount(): number {
    return Atomics.load(this.#words, WAKE);
  }

  /** Sleeps until time is up or something has changed since `wakeCount` was read. */
  sleep(wakeCount: number, millis: number): void {
    Atomics.wait(this.#words, WAKE, wakeCount, millis);
  }

  /** The main thread's, while no sender runs. */
  restartChunks(): void {
    Atomics.store(this.#words, NEXT_CHUNK, 0);
  }

  /** Takes the next part of guest RAM: no other sender gets the same one in this transfer. */
  nextChunk(): number {
    return Atomics.add(this.#words, NEXT_CHUNK, 1);
  }

  /** Whoever looks for pages of zeros, as the parameter says now. */
  get zeroPageDetection(): ZeroPageDetection {
    return zeroPageDetections[Atomics.load(this.#words, ZERO_PAGE_DETECTION)] ?? 'multifd';
  }

  set zeroPageDetection(mode: ZeroPageDetection) {
    Atomics.store(this.#words, ZERO_PAGE_DETECTION, zeroPageDetections.indexOf(mode));
  }

  /** -1: requested pages leave through the ram-sender. */
  get urgentDescriptor(): number {
    return Atomics.load(this.#words, URGENT_DESCRIPTOR);
  }

  set urgentDescriptor(descriptor: number) {
    Atomics.store(this.#words, URGENT_DESCRIPTOR, descriptor);
  }

  /** Bytes per second; 0 is unlimited. */
  bandwidth(rate: Rate): number {
    if (rate === 'unlimited') return 0;
    return this.#bandwidths[rate === 'precopy' ? 0 : 1] as number;
  }

  /** Those of a running migration that the threads look at. */
  setParameters(parameters: Parameters): void {
    this.zeroPageDetection = parameters['zero-page-detection'];
    this.setBandwidths(parameters['max-bandwidth'], parameters['max-postcopy-bandwidth']);
  }

  setBandwidths(precopy: number, postcopy: number): void {
    this.#bandwidths[0] = precopy;
    this.#bandwidths[1] = postcopy;
    this.wake();
  }

  /** @returns false when the ring is full: the page comes with the bulk, as every dirty page does. */
  pushRequest(block: number, page: number): boolean {
    const tail = Atomics.load(this.#words, REQUESTS_TAIL);
    const queued = (tail - Atomics.load(this.#words, REQUESTS_HEAD)) | 0;
    if (queued >= REQUESTS_MAX) return false;
    const at = REQUESTS + (tail & (REQUESTS_MAX - 1)) * 2;
    this.#words[at] = block;
    this.#words[at + 1] = page;
    Atomics.store(this.#words, REQUESTS_TAIL, tail + 1);
    this.wake();
    return true;
  }

  /** @returns the next requested page as [block, page], or nothing. */
  takeRequest(): readonly [number, number] | undefined {
    for (;;) {
      const head = Atomics.load(this.#words, REQUESTS_HEAD);
      if (head === Atomics.load(this.#words, REQUESTS_TAIL)) return undefined;
      const at = REQUESTS + (head & (REQUESTS_MAX - 1)) * 2;
      const request = [this.#words[at] as number, this.#words[at + 1] as number] as const;
      // Of several senders one gets it; an entry that was overwritten meanwhile is nobody's.
      const found = Atomics.compareExchange(this.#words, REQUESTS_HEAD, head, head + 1);
      if (found === head) return request;
    }
  }

  /**
   * The return-path's, before it tells the main thread something: waits while more is unread, so that a
   * destination which says more than is listened to fills its own socket and not our memory.
   *
   * @param unreadMax with what is told now.
   */
  tellOne(unreadMax: number): void {
    for (;;) {
      const unread = Atomics.load(this.#words, UNREAD);
      if (unread < unreadMax) break;
      Atomics.wait(this.#words, UNREAD, unread, SLEEP_MILLIS_MAX);
    }
    Atomics.add(this.#words, UNREAD, 1);
  }

  /** The main thread's: it has taken what was told, also of a link that has ended. */
  takeOne(): void {
    Atomics.sub(this.#words, UNREAD, 1);
    Atomics.notify(this.#words, UNREAD);
  }

  /** Forgets the requests of an old link; only while neither thread runs. */
  clearRequests(): void {
    Atomics.store(this.#words, REQUESTS_HEAD, Atomics.load(this.#words, REQUESTS_TAIL));
  }
}
