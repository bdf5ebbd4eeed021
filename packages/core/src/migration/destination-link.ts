import {
  type Channel,
  ChannelError,
  type ControlMessage,
  encodeControl,
  type ReceivedProof,
} from '@godwit/transport';
import type { PlacingMode, RamReceiverEvent } from '../threads/ram-receiver-api.ts';
import type { DestinationThreads } from './destination-threads.ts';

export type LinkEvent = RamReceiverEvent;

/**
 * One connection of a destination, from the accepted main channel to its end. Whatever breaks, breaks
 * the whole link: both channels are shut down.
 */
export class DestinationLink implements AsyncDisposable {
  readonly epoch: number;
  readonly #threads: DestinationThreads;
  readonly #main: Channel;
  readonly #reading: Promise<void>;
  #writing: Promise<unknown>;
  #urgent: Channel | undefined;
  #urgentReading: Promise<void> = Promise.resolve();
  #lost: Error | undefined;
  /** Channels still read; the link has ended when none is. */
  #readers = 0;
  readonly #events: LinkEvent[] = [];
  #wake: () => void = () => undefined;

  constructor(threads: DestinationThreads, main: Channel, mode: PlacingMode) {
    this.epoch = main.epoch;
    this.#threads = threads;
    this.#main = main;
    threads.receiver.onEvent = (event) => this.#take(event);
    threads.urgentReceiver.onEvent = (event) => this.#take(event);
    threads.fault.onEvent = (event) => this.drop(new ChannelError('ERR_CLOSED', event.message));
    this.#writing = threads.fault.call('attach', main.descriptor);
    this.#reading = this.#read(threads.receiver.call('run', { descriptor: main.descriptor, mode }));
  }

  get lost(): Error | undefined {
    return this.#lost;
  }

  /** Takes the urgent channel of this link; requested pages arrive there. */
  attachUrgent(urgent: Channel): void {
    if (this.#urgent !== undefined || this.#lost !== undefined) return urgent.close();
    this.#urgent = urgent;
    const argument = { descriptor: urgent.descriptor, mode: 'postcopy' } as const;
    this.#urgentReading = this.#read(this.#threads.urgentReceiver.call('run', argument));
  }

  async send(...messages: readonly ControlMessage[]): Promise<void> {
    await this.sendFrames(messages.map(encodeControl));
  }

  /**
   * The word that allows the order to run.
   *
   * @param onUnsent it cannot have arrived, so the order will not come either.
   */
  async sendLoaded(proof: ReceivedProof, onUnsent: () => void): Promise<void> {
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

  /** Page requests flow from now on, beginning with those that were never answered. */
  async serveFaults(): Promise<void> {
    await this.#write(this.#threads.fault.call('serve', undefined));
  }

  /** @returns what came next, in order, or nothing: the link has ended and all of it was taken. */
  async next(): Promise<LinkEvent | undefined> {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) return event;
      if (this.#readers === 0) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Ends the link now; idempotent, the first reason counts. */
  drop(reason: Error): void {
    this.#lost ??= reason;
    this.#main.shutdown();
    this.#urgent?.shutdown();
  }

  /** Drops it, waits until no thread uses its descriptors, closes them. */
  async close(): Promise<void> {
    this.drop(new ChannelError('ERR_ABORTED', 'the link was closed here'));
    await Promise.all([this.#reading, this.#urgentReading]);
    await this.#writing.catch(() => undefined);
    await this.#threads.fault.call('attach', -1).catch(() => undefined);
    this.#main.close();
    this.#urgent?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #read(reading: Promise<void>): Promise<void> {
    this.#readers += 1;
    try {
      await reading;
      this.drop(new ChannelError('ERR_CLOSED', 'the source closed the connection'));
    } catch (error) {
      this.drop(error as Error);
    }
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
