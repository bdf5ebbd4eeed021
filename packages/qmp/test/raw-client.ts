import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

import { parseAddress } from '@godwit/transport';

import { within } from '../src/deadline.ts';

const LIMIT_MILLIS = 5_000;

/** A client that sees and sends the bytes themselves. */
export class RawClient implements AsyncDisposable {
  readonly socket: Socket;
  #text = '';

  constructor(address: string) {
    const parsed = parseAddress(address);
    this.socket = connect(
      parsed.type === 'unix' ? { path: parsed.path } : { host: parsed.host, port: parsed.port },
    );
    this.socket.setEncoding('utf8');
    this.socket.on('data', (text: string) => {
      this.#text += text;
    });
    // 'close' is what tests look at.
    this.socket.on('error', () => undefined);
  }

  send(...messages: readonly (string | object)[]): void {
    const lines = messages.map((it) => (typeof it === 'string' ? it : `${JSON.stringify(it)}\n`));
    this.socket.write(lines.join(''));
  }

  /** The next line as it came, its end included. */
  async line(): Promise<string> {
    while (!this.#text.includes('\n')) {
      if (this.socket.closed) throw new Error('closed, no line');
      const seen = new AbortController();
      const { signal } = seen;
      const more = ['data', 'close'].map((name) => once(this.socket, name, { signal }));
      await within(Promise.race(more), 'line', { timeoutMillis: LIMIT_MILLIS });
      seen.abort();
      // The one that did not happen rejects with the abort.
      await Promise.allSettled(more);
    }
    const end = this.#text.indexOf('\n') + 1;
    const line = this.#text.slice(0, end);
    this.#text = this.#text.slice(end);
    return line;
  }

  async message(): Promise<unknown> {
    return JSON.parse(await this.line());
  }

  async messages(count: number): Promise<unknown[]> {
    const messages: unknown[] = [];
    while (messages.length < count) messages.push(await this.message());
    return messages;
  }

  /** Reads the greeting and negotiates. */
  async negotiate(...enable: readonly string[]): Promise<this> {
    this.send({ execute: 'qmp_capabilities', arguments: { enable } });
    await this.messages(2);
    return this;
  }

  async closed(): Promise<void> {
    if (this.socket.closed) return;
    await within(once(this.socket, 'close'), 'close', { timeoutMillis: LIMIT_MILLIS });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
    await this.closed();
  }
}
