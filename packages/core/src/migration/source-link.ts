import { type Channel, ChannelError, type ControlMessage, encodeControl } from '@godwit/transport';
import type { ReturnPathEvent } from '../threads/return-path-api.ts';
import type { TransferOrder, TransferResult } from '../threads/ram-sender-api.ts';
import { ControlInbox } from './control-inbox.ts';
import { RecvBitmaps } from './recv-bitmaps.ts';
import type { SourceThreads } from './source-threads.ts';

/**
 * One connection of the source to its destination, from the opened main channel to its end. Whatever
 * breaks, breaks the whole link: both channels are shut down and everybody who waits is told why.
 */
export class SourceLink implements AsyncDisposable {
  readonly inbox = new ControlInbox();
  readonly recvBitmaps: RecvBitmaps;
  readonly #threads: SourceThreads;
  readonly #main: Channel;
  readonly #stallMillis: () => number;
  readonly #reading: Promise<void>;
  #writing: Promise<unknown> = Promise.resolve();
  #urgent: Channel | undefined;
  #transfer = 0;
  #lost: Error | undefined;

  /** @param stallMillis how long a write that keeps somebody waiting may make no progress. */
  constructor(threads: SourceThreads, main: Channel, stallMillis: () => number) {
    this.#stallMillis = stallMillis;
    this.#threads = threads;
    this.#main = main;
    this.recvBitmaps = new RecvBitmaps(threads.blockPages);
    threads.returnPath.onEvent = (event) => {
      try {
        this.#receive(event);
      } catch (error) {
        this.drop(error as Error);
      }
    };
    this.#reading = threads.returnPath.call('run', main.descriptor).then(
      () => this.drop(new ChannelError('ERR_CLOSED', 'the destination closed the connection')),
      (error: unknown) => this.drop(error as Error),
    );
    void this.#write(threads.sender.call('attach', main.descriptor));
  }

  /** Why the link ended, once it has. */
  get lost(): Error | undefined {
    return this.#lost;
  }

  /** Requests are answered from now on, on this channel if there is one. */
  serveRequests(urgent: Channel | undefined): void {
    this.#urgent = urgent;
    this.#threads.control.urgentDescriptor = urgent?.descriptor ?? -1;
  }

  async send(...messages: readonly ControlMessage[]): Promise<void> {
    await this.sendFrames(messages.map(encodeControl));
  }

  async sendFrames(frames: readonly Uint8Array[]): Promise<void> {
    await this.#writeInTime(this.#threads.sender.call('write', frames));
  }

  async discard(): Promise<void> {
    await this.#writeInTime(this.#threads.sender.call('discard', undefined));
  }

  /** Sends what is dirty. @returns when all is sent, or soon after `stopTransfer`. */
  async transfer(order: Omit<TransferOrder, 'transfer'>): Promise<TransferResult> {
    this.#transfer = this.#threads.nextTransfer();
    const { sender } = this.#threads;
    const sent = sender.call('transfer', { ...order, transfer: this.#transfer });
    // Under a limit it may sleep for long; the guest stands still under none.
    return await (order.rate === 'unlimited' ? this.#writeInTime(sent) : this.#write(sent));
  }

  stopTransfer(): void {
    this.#threads.control.stop(this.#transfer);
  }

  /** Ends the link now; idempotent, the first reason counts. */
  drop(reason: Error): void {
    if (this.#lost !== undefined) return;
    this.#lost = reason;
    this.stopTransfer();
    this.#main.shutdown();
    this.#urgent?.shutdown();
    this.inbox.fail(reason);
  }

  /** Drops it, waits until no thread uses its descriptors, closes them. */
  async close(): Promise<void> {
    this.drop(new ChannelError('ERR_ABORTED', 'the link was closed here'));
    await this.#reading;
    await this.#writing.catch(() => undefined);
    this.#threads.control.urgentDescriptor = -1;
    this.#threads.control.clearRequests();
    this.#main.close();
    this.#urgent?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** A peer that takes nothing any more is the end of the link as well. */
  async #writeInTime<T>(writing: Promise<T>): Promise<T> {
    const millis = this.#stallMillis();
    let bytes = this.#sentBytes();
    const timer = setInterval(() => {
      const now = this.#sentBytes();
      if (now === bytes) {
        this.drop(new ChannelError('ERR_TIMEOUT', `nothing could be sent for ${millis} ms`));
      }
      bytes = now;
    }, millis);
    try {
      return await this.#write(writing);
    } finally {
      clearInterval(timer);
    }
  }

  #sentBytes(): number {
    return this.#threads.senderCounters.get('bytes');
  }

  /** A write that fails is the end of the link, whichever side noticed first. */
  async #write<T>(writing: Promise<T>): Promise<T> {
    this.#writing = writing;
    try {
      return await writing;
    } catch (error) {
      this.drop(error as Error);
      throw this.#lost ?? error;
    }
  }

  #receive(event: ReturnPathEvent): void {
    switch (event.type) {
      case 'control':
        return this.inbox.push(event.message);
      case 'bitmap':
        return this.recvBitmaps.add(event);
    }
  }
}
