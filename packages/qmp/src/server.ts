import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

import PQueue from 'p-queue';

import { builtinCommands } from './builtin-commands.ts';
import type { ClientHandle, CommandTable, EventTable, ServerHandle } from './command-table.ts';
import { Connection } from './connection.ts';
import { QmpSocketError } from './errors.ts';
import { listenOn, type Listener, type ListenOptions } from './listener.ts';
import { DEFAULT_VERSION, encodeMessage, eventMessage, type QmpVersion } from './messages.ts';
import { runRequest } from './request.ts';

/** How long close() waits for the commands under way and their replies. */
export const CLOSE_WAIT_MILLIS = 1_000;

export interface QmpServerOptions {
  /** Names in here win over the built-in ones: query-version, query-commands, query-qmp-schema, … */
  readonly commands: CommandTable;
  /** What `emit` is called with, for query-qmp-schema. */
  readonly events?: EventTable;
  readonly version?: QmpVersion;
}

/**
 * Speaks QMP to any number of clients on any number of addresses.
 *
 * In-band commands of all clients run one after the other, as on QEMU's main loop: a handler
 * never meets another one half-way. Out-of-band ones run at once beside them.
 */
export class QmpServer implements ServerHandle {
  readonly #commands: CommandTable;
  readonly #version: QmpVersion;
  /** Holds at most one turn per client: bounded by the clients. */
  readonly #turns = new PQueue({ concurrency: 1 });
  readonly #connections = new Map<Connection, Promise<void>>();
  readonly #listeners: Listener[] = [];
  /** Commands under way, up to and with the sending of their replies. */
  readonly #running = new Set<Promise<void>>();
  #clientCount = 0;
  #closing: Promise<void> | undefined;

  constructor(options: QmpServerOptions) {
    this.#version = options.version ?? DEFAULT_VERSION;
    const builtin = builtinCommands(this.#version, () => this.#commands, options.events ?? {});
    this.#commands = { ...builtin, ...options.commands };
  }

  /**
   * @param address `unix:PATH` or `tcp:HOST:PORT`; in the clear the host is on the loopback.
   * @returns the address to connect to: as given, with the real port and a numeric host.
   * @throws {ChannelError} `ERR_ADDRESS`: not an address.
   * @throws {QmpSocketError} `ERR_NOT_LOOPBACK`, `ERR_ADDRESS_IN_USE`, `ERR_LISTEN`, `ERR_CLOSED`.
   */
  async listen(address: string, options?: ListenOptions): Promise<string> {
    this.#refuseClosed();
    const listener = await listenOn(
      address,
      (socket, transport) => this.#connect(socket, transport),
      options,
    );
    this.#listeners.push(listener);
    try {
      // close() may have come by meanwhile, and has not seen this listener.
      this.#refuseClosed();
    } catch (error) {
      await listener.stop();
      throw error;
    }
    return listener.address;
  }

  emit(event: string, data?: object, filter?: (client: ClientHandle) => boolean): void {
    const line = encodeMessage(eventMessage(event, data, Date.now()));
    for (const connection of this.#connections.keys()) {
      if (connection.negotiated && (filter === undefined || filter(connection))) {
        connection.send(line);
      }
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    this.#turns.pause();
    this.#turns.clear();
    await Promise.all(this.#listeners.map((listener) => listener.stop()));
    const limit = new AbortController();
    const tooLate = delay(CLOSE_WAIT_MILLIS, undefined, { signal: limit.signal });
    await Promise.race([Promise.all(this.#running), tooLate.catch(() => undefined)]);
    limit.abort();
    for (const connection of this.#connections.keys()) connection.close();
    await Promise.all(this.#connections.values());
  }

  #connect(socket: Socket, transport: 'tcp' | 'unix'): void {
    if (this.#closing !== undefined) {
      socket.destroy();
      return;
    }
    this.#clientCount += 1;
    const connection = new Connection(socket, transport, this.#clientCount, {
      version: this.#version,
      // Never rejects: runNext answers with an error whatever goes wrong.
      schedule: (due) => void this.#turns.add(() => due.runNext()),
      answer: (value, client) => this.#answer(value, client),
    });
    const closed = new Promise<void>((resolve) => {
      socket.once('close', () => {
        this.#connections.delete(connection);
        resolve();
      });
    });
    this.#connections.set(connection, closed);
  }

  async #answer(value: unknown, client: Connection): Promise<void> {
    const context = { client, server: this };
    const sent = runRequest(value, this.#commands, context).then((reply) => client.send(reply));
    this.#running.add(sent);
    await sent;
    this.#running.delete(sent);
  }

  #refuseClosed(): void {
    if (this.#closing === undefined) return;
    throw new QmpSocketError('ERR_CLOSED', 'this QMP server has been closed');
  }
}
