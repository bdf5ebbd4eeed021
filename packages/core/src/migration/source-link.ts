import { type Channel, ChannelError, type ControlMessage, encodeControl } from '@godwit/transport';
import type { ReturnPathEvent } from '../threads/return-path-api.ts';
import type {
  SwitchoverOrder,
  SwitchoverResult,
  TransferOrder,
  TransferResult,
} from '../threads/ram-sender-api.ts';
import type { Parameters } from '../parameters.ts';
import type { Rate } from '../threads/sender-control.ts';
import { ControlInbox } from './control-inbox.ts';
import type { Switchover } from './precopy.ts';
import { RecvBitmaps } from './recv-bitmaps.ts';
import { LinkWatch, silenceMillisMax } from './link-watch.ts';
import { watchProgress } from './progress-watch.ts';
import type { Sender, SourceThreads } from './source-threads.ts';
import { Resends } from './resends.ts';
import { settled } from './settled.ts';

type TransferRequest = Pick<TransferOrder, 'rate' | 'pass'>;

/**
 * What may wait in a socket in front of the next requested page: of the bulk, when requested pages take
 * the same channel and when they only share the link; and on the urgent channel, of neighbours.
 */
const UNSENT_BYTES = 128 * 1024;

/**
 * One connection of the source to its destination, from the opened main channel to its end. Whatever
 * breaks, breaks the whole link: every channel of it is shut down and everybody who waits is told why.
 */
export class SourceLink implements AsyncDisposable {
  readonly inbox = new ControlInbox();
  #recvBitmaps: RecvBitmaps | undefined;
  readonly #threads: SourceThreads;
  readonly #main: Channel;
  readonly #parameters: () => Parameters;
  readonly #watch: LinkWatch;
  readonly #reading: Promise<void>;
  /** Everything that may still write to a channel of this link. */
  readonly #writing = new Set<Promise<unknown>>();
  #urgent: Channel | undefined;
  readonly #pages: Channel[] = [];
  #syncs = 0;
  #transfer = 0;
  #lost: Error | undefined;
  readonly resends = new Resends();

  /** @param parameters as they are now: a write that keeps somebody waiting has the handshake's time. */
  constructor(threads: SourceThreads, main: Channel, parameters: () => Parameters) {
    this.#parameters = parameters;
    this.#threads = threads;
    this.#main = main;
    main.limitSilence(this.#silenceMillis());
    this.#watch = new LinkWatch(
      () => this.#silenceMillis(),
      (reason) => this.drop(reason),
      (millis) => this.#channels().forEach((channel) => channel.limitSilence(millis)),
    );
    // Also while it does not read: what it does instead is to write, or to wait to.
    this.#watch.add('main', () => threads.returnPathCounters.get('reads'));
    threads.returnPath.onEvent = (event) => {
      threads.control.takeOne();
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
    // Of a thread that died the end of the link tells.
    this.#write(this.#attach(threads.sender, main.descriptor)).catch(() => undefined);
  }

  /** The destination has read what was said first: its heartbeats come, where any were agreed on. */
  beginWatch(): void {
    if (this.#threads.heartbeatMillis > 0) this.#watch.begin();
  }

  /** Why the link ended, once it has. */
  get lost(): Error | undefined {
    return this.#lost;
  }

  /** From here on the destination may say what it has received. */
  expectBitmaps(): RecvBitmaps {
    this.#recvBitmaps = new RecvBitmaps(this.#threads.blockPages);
    return this.#recvBitmaps;
  }

  /** Requests are answered from now on, on this channel if there is one. */
  serveRequests(urgent: Channel | undefined): void {
    this.#urgent = urgent;
    if (this.#lost !== undefined) {
      urgent?.shutdown(); // before a thread could wait for a peer that reads nothing
      throw this.#lost;
    }
    for (const channel of this.#channels()) channel.limitUnsent(UNSENT_BYTES);
    urgent?.limitSilence(this.#silenceMillis());
    this.#threads.control.urgentDescriptor = urgent?.descriptor ?? -1;
  }

  /** The bulk goes over this one too from now on. @returns when its thread has it. */
  async attachPage(channel: Channel): Promise<void> {
    const sender = this.#threads.pageSenders[this.#pages.length] as Sender;
    this.#pages.push(channel); // closed with the link, whatever becomes of it
    if (this.#lost !== undefined) throw this.#lost;
    channel.limitSilence(this.#silenceMillis());
    await this.#write(this.#attach(sender, channel.descriptor));
  }

  async #attach(sender: Sender, descriptor: number): Promise<void> {
    sender.onEvent = (event) => this.drop(new ChannelError('ERR_CLOSED', event.message));
    await sender.call('attach', { descriptor, heartbeat: this.#threads.heartbeatMillis });
  }

  #silenceMillis(): number {
    return silenceMillisMax(this.#parameters(), this.#threads.heartbeatMillis);
  }

  async send(...messages: readonly ControlMessage[]): Promise<void> {
    await this.sendFrames(messages.map(encodeControl));
  }

  /** With `x-checksum`: what is written after this message are checked frames. */
  async sendAndSeal(message: ControlMessage): Promise<void> {
    await this.#writeInTime(this.#threads.sender.call('seal', [encodeControl(message)]));
  }

  async sendFrames(frames: readonly Uint8Array[]): Promise<void> {
    await this.#writeInTime(this.#threads.sender.call('write', frames));
  }

  async discard(): Promise<void> {
    await this.#writeInTime(this.#threads.sender.call('discard', undefined));
  }

  /** Sends what is dirty. @returns when all is sent, or soon after `stopTransfer`. */
  async transfer(request: TransferRequest): Promise<TransferResult> {
    this.#transfer = this.#threads.nextTransfer();
    this.#threads.control.restartChunks();
    const sent =
      this.#pages.length === 0 ? this.#transferAlone(request) : this.#transferBy(request);
    // Without a limit: it may sleep for long, as the bandwidth asks.
    return await this.#write(sent);
  }

  /** What a guest that stands still has left to say, in one go. */
  async switchover(how: Switchover, frames: SwitchoverOrder['frames']): Promise<SwitchoverResult> {
    this.#transfer = this.#threads.nextTransfer();
    this.#threads.control.restartChunks();
    if (how === 'precopy' && this.#pages.length > 0) {
      return await this.#writeInTime(this.#switchOverBy(frames));
    }
    const transfer = how === 'precopy' ? this.#transfer : undefined;
    return await this.#writeInTime(this.#threads.sender.call('switchover', { transfer, frames }));
  }

  /** The last pages over the page channels. */
  async #switchOverBy(frames: SwitchoverOrder['frames']): Promise<SwitchoverResult> {
    const { sender } = this.#threads;
    const started = performance.now();
    const { dirtiedPages } = await sender.call('collect', undefined);
    const synced = performance.now();
    const sent = await this.#transferBy({ rate: 'unlimited' });
    const pagesMillis = performance.now() - synced;
    if (!sent.stopped) await sender.call('write', frames);
    const millis = performance.now() - started;
    return { ...sent, millis, dirtiedPages, syncMillis: synced - started, pagesMillis };
  }

  async #transferAlone(request: TransferRequest): Promise<TransferResult> {
    const order = { ...request, transfer: this.#transfer, senders: 1 };
    return await this.#threads.sender.call('transfer', order);
  }

  /**
   * Over the page channels. The sync point keeps the order between them: nothing that is sent after it
   * overtakes a page that was sent before.
   */
  async #transferBy({ rate, pass }: TransferRequest): Promise<TransferResult> {
    const { sender, pageSenders, control } = this.#threads;
    // Without the urgent channel requested pages leave with the bulk: the ram-sender helps with both.
    const isShared = rate === 'postcopy' && control.urgentDescriptor < 0;
    const senders = pageSenders.length + (isShared ? 1 : 0);
    const sync = ++this.#syncs;
    const order = { rate, transfer: this.#transfer, senders, sync };
    const zeros = control.zeroPageDetection === 'legacy' ? [await this.#sendZeros(rate)] : [];
    const results = await settled([
      ...pageSenders.map(async (pages) => await pages.call('transfer', order)),
      ...(isShared ? [sender.call('transfer', { ...order, pass })] : []),
    ]);
    const stopped = results.some((result) => result.stopped);
    const all = [...zeros, ...results];
    const words: ControlMessage[] = isShared ? [] : [{ t: 'sync', n: sync }];
    if (!isShared && !stopped && pass !== undefined) words.push({ t: 'pass', n: pass });
    await sender.call('write', words.map(encodeControl));
    return {
      stopped,
      bytes: all.reduce((sum, result) => sum + result.bytes, 0),
      millis: Math.max(...results.map(({ millis }) => millis)) + (zeros[0]?.millis ?? 0),
    };
  }

  /** The ram-sender goes through all that is dirty before the page channels take the rest. */
  async #sendZeros(rate: Rate): Promise<TransferResult> {
    const { sender, control } = this.#threads;
    const order = { rate, transfer: this.#transfer, senders: 1, zerosOnly: true } as const;
    const sent = await sender.call('transfer', order);
    control.restartChunks();
    return sent;
  }

  stopTransfer(): void {
    this.#threads.control.stop(this.#transfer);
  }

  /** Ends the link now; idempotent, the first reason counts. */
  drop(reason: Error): void {
    if (this.#lost !== undefined) return;
    this.#lost = reason;
    this.#watch.end();
    this.stopTransfer();
    for (const channel of this.#channels()) channel.shutdown();
    this.inbox.fail(reason);
  }

  /** Drops it, waits until no thread uses its descriptors, closes them. */
  async close(): Promise<void> {
    this.drop(new ChannelError('ERR_ABORTED', 'the link was closed here'));
    await this.#reading;
    await Promise.allSettled(this.#writing);
    const { sender, pageSenders } = this.#threads;
    const nowhere = { descriptor: -1, heartbeat: 0 };
    await Promise.allSettled([sender, ...pageSenders].map((it) => it.call('attach', nowhere)));
    this.#threads.control.urgentDescriptor = -1;
    this.#threads.control.clearRequests();
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
    return [this.#main, ...(this.#urgent === undefined ? [] : [this.#urgent]), ...this.#pages];
  }

  /** A peer that takes nothing any more is the end of the link as well. */
  async #writeInTime<T>(writing: Promise<T>): Promise<T> {
    const millis = this.#parameters()['x-handshake-timeout'];
    using _watch = watchProgress(
      () => this.#threads.senderCounters.get('bytes'),
      millis,
      () => this.drop(new ChannelError('ERR_TIMEOUT', `nothing could be sent for ${millis} ms`)),
    );
    return await this.#write(writing);
  }

  /** A write that fails is the end of the link, whichever side noticed first. */
  async #write<T>(writing: Promise<T>): Promise<T> {
    this.#writing.add(writing);
    try {
      return await writing;
    } catch (error) {
      this.drop(error as Error);
      throw this.#lost ?? error;
    } finally {
      this.#writing.delete(writing);
    }
  }

  #receive(event: ReturnPathEvent): void {
    switch (event.type) {
      case 'control':
        this.inbox.push(event.message);
        if (this.inbox.refusal !== undefined) this.drop(this.inbox.refusal); // also where nobody asks
        return;
      case 'bitmap':
        if (this.#recvBitmaps === undefined) {
          throw new ChannelError('ERR_PROTOCOL', 'RECV_BITMAP that nobody asked for');
        }
        return this.#recvBitmaps.add(event);
      case 'resend':
        this.#threads.lastDamaged = event;
        return this.resends.told();
    }
  }
}
