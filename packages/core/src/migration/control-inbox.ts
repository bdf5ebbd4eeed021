import assert from 'node:assert/strict';
import {
  ChannelError,
  type ControlMessage,
  type ControlType,
  type RamProof,
} from '@godwit/transport';
import { MigrationError } from '../errors.ts';
import { type LimitOptions, withLimit } from './limit.ts';

type MessageOf<T extends ControlType> = Extract<ControlMessage, { readonly t: T }>;

/** More than the longest exchange leaves unread. */
const MESSAGES_MAX = 16;

/**
 * What the other side said on one link, in order. Two are kept apart, since they come whatever else is
 * being said: `complete` when the last page is in, `switchover-ack` when the guest may be stopped.
 */
export class ControlInbox {
  readonly #queue: ControlMessage[] = [];
  readonly complete: Promise<RamProof>;
  readonly switchoverAck: Promise<void>;
  /** Rejects when the link has ended, with the reason. */
  readonly ended: Promise<never>;
  #hasComplete = false;
  #hasSwitchoverAck = false;
  #ackNow: () => void = () => undefined;
  #completeNow: (proof: RamProof) => void = () => undefined;
  #waiting:
    | { resolve: (message: ControlMessage) => void; reject: (error: Error) => void }
    | undefined;
  #failure: Error | undefined;
  #rejectComplete: (error: Error) => void = () => undefined;
  #rejectEnded: (error: Error) => void = () => undefined;

  constructor() {
    this.complete = new Promise((resolve, reject) => {
      this.#completeNow = resolve;
      this.#rejectComplete = reject;
    });
    this.switchoverAck = new Promise((resolve) => {
      this.#ackNow = resolve;
    });
    this.ended = new Promise((_resolve, reject) => {
      this.#rejectEnded = reject;
    });
    // Told to whoever waits; nobody has to.
    for (const promise of [this.complete, this.ended]) promise.catch(() => undefined);
  }

  get hasSwitchoverAck(): boolean {
    return this.#hasSwitchoverAck;
  }

  /** The destination said that it cannot go on, and nobody has listened yet. */
  get refusal(): MigrationError | undefined {
    const message = this.#queue.find(({ t }) => t === 'failed');
    return message?.t === 'failed' ? refusalOf(message.why) : undefined;
  }

  /** @throws {ChannelError} `ERR_PROTOCOL`: nobody asked for so much. */
  push(message: ControlMessage): void {
    if (message.t === 'complete') {
      this.#once('complete', this.#hasComplete);
      this.#hasComplete = true;
      return this.#completeNow(message);
    }
    if (message.t === 'switchover-ack') {
      this.#once('switchover-ack', this.#hasSwitchoverAck);
      this.#hasSwitchoverAck = true;
      return this.#ackNow();
    }
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) return waiting.resolve(message);
    this.#queue.push(message);
    if (this.#queue.length > MESSAGES_MAX) {
      throw new ChannelError('ERR_PROTOCOL', 'the other side says more than was asked');
    }
  }

  /** The link has ended: whoever waits, now or later, is told why. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.#waiting?.reject(this.#failure);
    this.#waiting = undefined;
    this.#rejectComplete(this.#failure);
    this.#rejectEnded(this.#failure);
  }

  /**
   * @throws {ChannelError} `ERR_PROTOCOL` for any other message, `ERR_TIMEOUT`, or why the link ended.
   * @throws {MigrationError} `ERR_PEER_FAILED` when the other side says that it cannot go on.
   */
  async expect<T extends ControlType>(
    type: T,
    options: Omit<LimitOptions, 'what'>,
  ): Promise<MessageOf<T>> {
    const message = await this.#nextWithin({ ...options, what: `'${type}'` });
    if (message.t === type) return message as MessageOf<T>;
    if (message.t === 'failed' || message.t === 'refused') {
      throw refusalOf(message.why);
    }
    throw new ChannelError('ERR_PROTOCOL', `'${message.t}' where '${type}' was expected`);
  }

  #once(what: string, hasCome: boolean): void {
    if (hasCome) throw new ChannelError('ERR_PROTOCOL', `'${what}' came twice`);
  }

  async #nextWithin(limit: LimitOptions): Promise<ControlMessage> {
    try {
      return await withLimit(this.#next(), limit);
    } catch (error) {
      this.#waiting = undefined; // what comes later is for whoever asks next
      throw error;
    }
  }

  async #next(): Promise<ControlMessage> {
    const message = this.#queue.shift();
    if (message !== undefined) return message;
    if (this.#failure !== undefined) throw this.#failure;
    assert.equal(this.#waiting, undefined);
    return await new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }
}

function refusalOf(why: string): MigrationError {
  return new MigrationError('ERR_PEER_FAILED', `the destination: ${why}`);
}
