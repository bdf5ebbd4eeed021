import {
  type Channel,
  ChannelError,
  type ControlMessage,
  encodeControl,
  type RamProof,
} from '@godwit/transport';
import type { Placing } from '../threads/placing-gate.ts';
import type { RamReceiverEvent } from '../threads/ram-receiver-api.ts';
import type { Parameters } from '../parameters.ts';
import type { DestinationThreads } from './destination-threads.ts';
import { LinkWatch, type Pulse, silenceMillisMax } from './link-watch.ts';

export type LinkEvent = RamReceiverEvent;

/**
 * Without an urgent channel the bulk that waits here is in front of requested pages; the kernel's own
 * bookkeeping included it takes twice as much.
 */
const UNREAD_BYTES_SHARED = 256 * 1024;

/**
 * One connection of a destination, from the accepted main channel to its end. Whatever breaks, breaks
 * the whole link: every channel of it is shut down.
 */
export class DestinationLink implements AsyncDisposable {
  readonly epoch: number;
  readonly #threads: DestinationThreads;
  readonly #main: Channel;
  readonly #parameters: () => Parameters;
  readonly #watch: LinkWatch;
  #writing: Promise<unknown>;
  #urgent: Channel | undefined;
  readonly #pages = new Map<number, Channel>();
  readonly #reading: Promise<void>[] = [];
  #lost: Error | undefined;
  #isLastWord = false;
  /** Channels still read; the link has ended when none is. */
  #readers = 0;
  readonly #events: LinkEvent[] = [];
  #wake: () => void = () => undefined;

  /** @param parameters as they are now. */
  constructor(
    threads: DestinationThreads,
    main: Channel,
    placing: Placing,
    parameters: () => Parameters,
  ) {
    this.epoch = main.epoch;
    this.#threads = threads;
    this.#main = main;
    this.#parameters = parameters;
    this.#watch = new LinkWatch(
      () => this.#silenceMillis(),
      (reason) => this.drop(reason),
      (millis) => this.#channels().forEach((channel) => channel.limitSilence(millis)),
    );
    threads.gate.openLink(placing);
    threads.fault.onEvent = (event) => this.drop(new ChannelError('ERR_CLOSED', event.message));
    this.#writing = threads.fault.call('attach', main.descriptor);
    this.#writing.catch((error: unknown) => this.drop(error as Error)); // of a thread that died
    this.#read(threads.receiver, main);
  }

  get lost(): Error | undefined {
    return this.#lost;
  }

  /** The source has spoken: heartbeats go both ways from now on, where it has asked for any. */
  beat(): void {
    const { heartbeatMillis, fault } = this.#threads;
    if (heartbeatMillis === 0 || this.#lost !== undefined) return;
    fault.call('beat', heartbeatMillis).catch(() => undefined); // of a thread that died others tell
    this.#watch.begin();
  }

  /** Takes a further channel of this link; one that is there already, or not agreed on, is closed. */
  attach(channel: Channel, index: number): void {
    if (this.#lost !== undefined) return channel.close();
    if (channel.role === 'page') return this.#attachPages(channel, index);
    if (this.#urgent !== undefined) return channel.close();
    this.#urgent = channel;
    this.#read(this.#threads.urgentReceiver, channel);
  }

  #attachPages(channel: Channel, index: number): void {
    const thread = this.#threads.pageReceivers[index];
    if (thread === undefined || this.#pages.has(index)) return channel.close();
    this.#pages.set(index, channel);
    this.#read(thread, channel);
  }

  async send(...messages: readonly ControlMessage[]): Promise<void> {
    await this.sendFrames(messages.map(encodeControl));
  }

  /**
   * The word that allows the order to run.
   *
   * @param onUnsent it cannot have arrived, so the order will not come either.
   */
  async sendLoaded(proof: RamProof, onUnsent: () => void): Promise<void> {
    try {
      await this.#threads.fault.call('write', [encodeControl({ t: 'loaded', ...proof })]);
    } catch (error) {
      // The socket refused it; of a thread that died nobody knows what it did before.
      if (error instanceof ChannelError) onUnsent();
      this.drop(error as Error);
      throw error;
    }
  }

  async sendFrames(frames: readonly Uint8Array[]): Promise<void> {
    await this.#write(this.#threads.fault.call('write', frames));
  }

  /** With `x-checksum`: what is written after this message are checked frames. */
  async sendAndSeal(message: ControlMessage): Promise<void> {
    await this.#write(this.#threads.fault.call('seal', [encodeControl(message)]));
  }

  /** Asks for the pages that arrived damaged, before anything that is sent after this. */
  async requestDamaged(): Promise<void> {
    await this.#write(this.#threads.fault.call('resend', undefined));
  }

  /** Page requests flow from now on, beginning with those that were never answered. */
  async serveFaults(): Promise<void> {
    if (this.#urgent === undefined) this.#main.limitUnread(UNREAD_BYTES_SHARED);
    this.#threads.gate.isUrgentSeparate = this.#urgent !== undefined;
    await this.#write(this.#threads.fault.call('serve', undefined));
  }

  /** @returns what came next, in order, or nothing: the link has ended and all of it was taken. */
  async next(): Promise<LinkEvent | undefined> {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) {
        const isCounted = event.type !== 'complete' && event.type !== 'damaged';
        if (isCounted) this.#threads.gate.takeOne();
        return event;
      }
      if (this.#readers === 0) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /**
   * Every page is here: the source has one word to say, on main, and then closes all of its channels.
   * The end of another one, a reset if it was just being opened, may be seen first, and is no loss.
   */
  expectLastWord(): void {
    this.#isLastWord = true;
  }

  /** Ends the link now; idempotent, the first reason counts. */
  drop(reason: Error): void {
    this.#lost ??= reason;
    this.#watch.end();
    for (const channel of this.#channels()) channel.shutdown();
    this.#threads.gate.breakLink();
  }

  /** Drops it, waits until no thread uses its descriptors, closes them. */
  async close(): Promise<void> {
    this.drop(new ChannelError('ERR_ABORTED', 'the link was closed here'));
    await Promise.all(this.#reading);
    await this.#writing.catch(() => undefined);
    await this.#threads.fault.call('attach', -1).catch(() => undefined);
    for (const channel of this.#channels()) channel.close();
  }

  /** After `close`: resolves when the last words have left, and nothing of it is left open. */
  get ended(): Promise<unknown> {
    return Promise.all(this.#channels().map(async (channel) => await channel.ended));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #channels(): Channel[] {
    const urgent = this.#urgent === undefined ? [] : [this.#urgent];
    return [this.#main, ...urgent, ...this.#pages.values()];
  }

  #read(thread: DestinationThreads['receiver'], channel: Channel): void {
    thread.onEvent = (event) => this.#take(event);
    channel.limitSilence(this.#silenceMillis());
    this.#watch.add(channel.role, this.#pulse(thread));
    this.#readers += 1;
    this.#reading.push(this.#untilEnd(channel, thread.call('run', channel.descriptor)));
  }

  /** Who waits for another channel, or places what has come, does not wait for the source. */
  #pulse(thread: DestinationThreads['receiver']): Pulse {
    return () => {
      const reads = this.#threads.readsOf(thread);
      return reads % 2 === 1 ? reads : undefined;
    };
  }

  #silenceMillis(): number {
    return silenceMillisMax(this.#parameters(), this.#threads.heartbeatMillis);
  }

  async #untilEnd({ role }: Channel, reading: Promise<void>): Promise<void> {
    let reason: Error = new ChannelError('ERR_CLOSED', 'the source closed the connection');
    try {
      await reading;
    } catch (error) {
      reason = error as Error;
    }
    if (role === 'main' || !this.#isLastWord) this.drop(reason);
    this.#readers -= 1; // what was told before the end has come before it
    this.#wake();
  }

  async #write(writing: Promise<void>): Promise<void> {
    this.#writing = writing;
    try {
      await writing;
    } catch (error) {
      const lost = new ChannelError('ERR_CLOSED', (error as Error).message);
      this.drop(lost);
      throw this.#lost ?? lost;
    }
  }

  #take(event: LinkEvent): void {
    this.#events.push(event);
    this.#wake();
  }
}
