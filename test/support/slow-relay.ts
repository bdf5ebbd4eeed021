import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { formatAddress } from '@godwit/transport';
import { anyAddress, connectOptions, listenOn, type Transport } from './addresses.ts';

export interface SlowRelayOptions {
  readonly transport: Transport;
  /** Where socket files go. */
  readonly directory: string;
  /** Where the destination listens. */
  readonly target: string;
  readonly bytesPerSecond: number;
}

/**
 * A link that carries so many bytes a second from the source on, over all its connections together, and
 * at full speed the other way: the sender finds the socket full, as before a slow network.
 */
export class SlowRelay implements AsyncDisposable {
  readonly uri: string;
  readonly #server: Server;
  readonly #target: string;
  readonly #sockets = new Set<Socket>();
  readonly #timers = new Set<NodeJS.Timeout>();
  /** Connections that wait for a link that stands still. */
  readonly #halted = new Set<Socket>();
  #bytesPerSecond: number;
  #dueMillis = 0;

  static async open(options: SlowRelayOptions): Promise<SlowRelay> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    const address = await listenOn(server, anyAddress(options.transport, options.directory));
    return new SlowRelay(server, formatAddress(address), options);
  }

  private constructor(server: Server, uri: string, options: SlowRelayOptions) {
    this.uri = uri;
    this.#server = server;
    this.#target = options.target;
    this.#bytesPerSecond = options.bytesPerSecond;
    server.on('connection', (near) => this.#join(near));
  }

  /** 0: the link stands still; Infinity: nothing slows it down. */
  set bytesPerSecond(bytesPerSecond: number) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#dueMillis = 0;
    for (const socket of this.#halted) socket.resume();
    this.#halted.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    if (this.#server.listening) await once(this.#server, 'close');
  }

  #join(near: Socket): void {
    const far = connect({ ...connectOptions(this.#target), allowHalfOpen: true });
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(from);
      from.on('error', () => undefined); // 'close' follows
      from.once('end', () => to.end());
      from.once('close', () => {
        this.#sockets.delete(from);
        this.#halted.delete(from);
        to.destroySoon();
      });
    }
    far.pipe(near, { end: false });
    near.on('data', (chunk: Buffer) => this.#carry(near, far, chunk));
  }

  #carry(near: Socket, far: Socket, chunk: Buffer): void {
    near.pause();
    far.write(chunk);
    if (this.#bytesPerSecond === 0) return void this.#halted.add(near);
    const now = performance.now();
    this.#dueMillis =
      Math.max(this.#dueMillis, now) + (chunk.byteLength / this.#bytesPerSecond) * 1000;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (this.#bytesPerSecond === 0) this.#halted.add(near);
      else near.resume();
    }, this.#dueMillis - now);
    this.#timers.add(timer);
  }
}
