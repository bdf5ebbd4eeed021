import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import type { Socket } from 'node:net';

import { assertNever, type DialSecurity } from '@godwit/transport';

import type { JsonObject } from './arguments.ts';
import { connected, openSocket, readMessages } from './client-socket.ts';
import { within, type WaitOptions } from './deadline.ts';
import { messageOf, QmpSocketError, toError } from './errors.ts';
import { EventLog } from './event-log.ts';
import { encodeMessage, type QmpEvent, type QmpGreeting } from './messages.ts';
import type { ServerMessage } from './server-message.ts';

/** For connecting, the greeting and the negotiation together. */
export const CONNECT_TIMEOUT_MILLIS = 10_000;
/** Commands start things, they do not wait for them: one that takes so long hangs. */
export const EXECUTE_TIMEOUT_MILLIS = 30_000;

export interface ConnectOptions extends WaitOptions {
  /** Left out, the connection is in the clear. */
  readonly security?: DialSecurity | undefined;
  /** Negotiate out-of-band execution. */
  readonly oob?: boolean;
}

export interface ExecuteOptions extends WaitOptions {
  /** Overtake the commands under way; needs `oob` at connect and a command that allows it. */
  readonly oob?: boolean;
}

export interface WaitForEventOptions extends WaitOptions {
  /** Where to begin, an earlier `eventCursor`; left out, after the event last waited for. */
  readonly since?: number;
}

export interface QmpClientEvents {
  event: [QmpEvent];
  /** Once, with the reason: `ERR_CLOSED` when this side has closed. */
  close: [QmpSocketError];
}

interface PendingCall {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/**
 * Drives a QMP server, ours or QEMU. Calls may overlap; replies are told apart by id.
 *
 * A call that was given up (time, signal, lost connection) says nothing about the command: it may
 * have been carried out. Ask for the state before doing it again.
 */
export class QmpClient extends EventEmitter<QmpClientEvents> {
  /** What the server said of itself. */
  readonly greeting: QmpGreeting;
  readonly #socket: Socket;
  readonly #address: string;
  readonly #calls = new Map<number, PendingCall>();
  #lastId = 0;
  readonly #log = new EventLog();
  #waitedUpTo = 0;
  /** Called after each event and at the end. */
  readonly #watchers = new Set<() => void>();
  /** Why nothing works any more. */
  #ended: QmpSocketError | undefined;

  /**
   * @throws {ChannelError} `ERR_ADDRESS`: not an address.
   * @throws {QmpSocketError} `ERR_CONNECT`, `ERR_LOST`, `ERR_PROTOCOL`, `ERR_TIMEOUT`.
   * @throws {QmpError} the server refuses the negotiation.
   */
  static async connect(address: string, options: ConnectOptions = {}): Promise<QmpClient> {
    options.signal?.throwIfAborted();
    const socket = openSocket(address, options.security);
    try {
      return await within(negotiate(socket, address, options.oob === true), `QMP at ${address}`, {
        timeoutMillis: CONNECT_TIMEOUT_MILLIS,
        ...options,
      });
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  /** For {@link connect}: `messages` are those after the greeting. */
  constructor(
    socket: Socket,
    address: string,
    greeting: QmpGreeting,
    messages: AsyncIterable<ServerMessage>,
  ) {
    super();
    this.#socket = socket;
    this.#address = address;
    this.greeting = greeting;
    void this.#receive(messages);
  }

  /**
   * @returns what the server returned; that it is a T is the caller's word.
   * @throws {QmpError} the server refuses, or the command failed.
   * @throws {QmpSocketError} `ERR_LOST`, `ERR_CLOSED`, `ERR_PROTOCOL`, `ERR_TIMEOUT` (by default
   *   after EXECUTE_TIMEOUT_MILLIS).
   */
  async execute<T = unknown>(
    command: string,
    args?: JsonObject,
    options: ExecuteOptions = {},
  ): Promise<T> {
    options.signal?.throwIfAborted();
    if (this.#ended !== undefined) throw this.#ended;
    this.#lastId += 1;
    const id = this.#lastId;
    const request = {
      [options.oob === true ? 'exec-oob' : 'execute']: command,
      ...(args === undefined ? {} : { arguments: args }),
      id,
    };
    const replied = new Promise<unknown>((resolve, reject) => {
      this.#calls.set(id, { resolve, reject });
    });
    try {
      this.#socket.write(encodeMessage(request));
      const limits = { timeoutMillis: EXECUTE_TIMEOUT_MILLIS, ...options };
      return (await within(replied, `reply to ${command} from ${this.#address}`, limits)) as T;
    } finally {
      this.#calls.delete(id);
    }
  }

  /** The position of the next event: note it before starting what sends the events. */
  get eventCursor(): number {
    return this.#log.end;
  }

  /** The events from now on (not: from the first `next()` on); ends with {@link close}. */
  get events(): AsyncIterable<QmpEvent> {
    return this.eventsFrom(this.#log.end);
  }

  /**
   * @param cursor an earlier `eventCursor`.
   * @throws {QmpSocketError} `ERR_EVENTS_DROPPED`: more than EVENT_LOG_LENGTH_MAX were unread;
   *   `ERR_LOST`, `ERR_PROTOCOL`: after the last event that came.
   */
  async *eventsFrom(cursor: number): AsyncGenerator<QmpEvent, void, undefined> {
    for (let position = cursor; ; position += 1) {
      const next = await this.#watch('event', () => {
        if (position < this.#log.begin) throw eventsDropped(position, this.#log.begin);
        return this.#log.at(position) ?? this.#ended;
      });
      if (!(next instanceof QmpSocketError)) yield next;
      else if (next.code === 'ERR_CLOSED') return;
      else throw next;
    }
  }

  /**
   * The first event that is meant, those that have come since `since` included. Waits for ever
   * unless told otherwise: how long a migration takes is not known here.
   *
   * @throws {QmpSocketError} `ERR_TIMEOUT`; `ERR_EVENTS_DROPPED`: `since` is no longer in the log;
   *   `ERR_LOST`, `ERR_CLOSED`, `ERR_PROTOCOL`: the connection ended first.
   */
  async waitForEvent(
    isMeant: (event: QmpEvent) => boolean,
    options: WaitForEventOptions = {},
  ): Promise<QmpEvent> {
    options.signal?.throwIfAborted();
    const { since } = options;
    if (since !== undefined && since < this.#log.begin) throw eventsDropped(since, this.#log.begin);
    let from = since ?? this.#waitedUpTo;
    const look = (): QmpEvent | undefined => {
      const position = this.#log.find(from, isMeant);
      from = this.#log.end;
      if (position === undefined) {
        if (this.#ended !== undefined) throw this.#ended;
        return undefined;
      }
      this.#waitedUpTo = position + 1;
      return this.#log.at(position);
    };
    return await this.#watch('event as awaited', look, options);
  }

  /** Closes this side; calls under way are rejected with `ERR_CLOSED`. */
  async close(): Promise<void> {
    this.#end(new QmpSocketError('ERR_CLOSED', `the connection to ${this.#address} is closed`));
    if (!this.#socket.closed) await once(this.#socket, 'close');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #receive(messages: AsyncIterable<ServerMessage>): Promise<void> {
    try {
      for await (const message of messages) this.#take(message);
      throw new QmpSocketError('ERR_LOST', `${this.#address} has closed the connection`);
    } catch (error) {
      // Anything else is a mistake of ours in taking a message.
      assert(error instanceof QmpSocketError, messageOf(error));
      this.#end(error);
    }
  }

  #take(message: ServerMessage): void {
    switch (message.type) {
      case 'return':
        // Unknown ids belong to calls that were given up.
        this.#calls.get(Number(message.id))?.resolve(message.value);
        return;
      case 'error':
        // Without an id the server could not read what we wrote, and nobody knows which that was.
        if (message.id === undefined) throw protocolError(this.#address, message.error.desc);
        this.#calls.get(Number(message.id))?.reject(message.error);
        return;
      case 'event':
        this.#log.append(message.event);
        this.#wakeWatchers();
        // Later: what a listener throws is not the connection's fault.
        queueMicrotask(() => this.emit('event', message.event));
        return;
      case 'greeting':
        throw protocolError(this.#address, 'a second greeting');
      default:
        return assertNever(message);
    }
  }

  #end(reason: QmpSocketError): void {
    if (this.#ended !== undefined) return;
    this.#ended = reason;
    this.#socket.destroySoon();
    for (const call of this.#calls.values()) call.reject(reason);
    this.#wakeWatchers();
    queueMicrotask(() => this.emit('close', reason));
  }

  #wakeWatchers(): void {
    for (const look of this.#watchers) look();
  }

  /** Resolves with what `check` finds, now or after an event or the end; rejects if it throws. */
  async #watch<T>(what: string, check: () => T | undefined, options: WaitOptions = {}): Promise<T> {
    let look = (): void => undefined;
    const found = new Promise<T>((resolve, reject) => {
      look = () => {
        try {
          const result = check();
          if (result === undefined) return;
          this.#watchers.delete(look);
          resolve(result);
        } catch (error) {
          reject(toError(error));
        }
      };
    });
    this.#watchers.add(look);
    look();
    try {
      return await within(found, `${what} from ${this.#address}`, {
        timeoutMillis: Infinity,
        ...options,
      });
    } finally {
      this.#watchers.delete(look);
    }
  }
}

async function negotiate(socket: Socket, address: string, oob: boolean): Promise<QmpClient> {
  await connected(socket, address);
  const messages = readMessages(socket, address);
  const first = await messages.next();
  if (first.done === true) {
    throw new QmpSocketError('ERR_LOST', `${address} has closed the connection without a greeting`);
  }
  if (first.value.type !== 'greeting') throw protocolError(address, 'no greeting');
  const { greeting } = first.value;
  if (oob && !greeting.QMP.capabilities.includes('oob')) {
    throw protocolError(address, 'it does not offer out-of-band execution');
  }
  const client = new QmpClient(socket, address, greeting, messages);
  // The limits of connect() apply to all of this.
  const limits = { timeoutMillis: Infinity };
  await client.execute('qmp_capabilities', oob ? { enable: ['oob'] } : undefined, limits);
  return client;
}

function protocolError(address: string, what: string): QmpSocketError {
  return new QmpSocketError('ERR_PROTOCOL', `${address} does not speak QMP as we know it: ${what}`);
}

function eventsDropped(wanted: number, begin: number): QmpSocketError {
  const message = `event ${wanted} is no longer in the log, which begins at ${begin}`;
  return new QmpSocketError('ERR_EVENTS_DROPPED', message);
}
