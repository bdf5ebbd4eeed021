import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { formatAddress } from '@godwit/transport';
import { connectOptions, listenOn } from './addresses.ts';

/** From the source to the destination, or back. */
type Way = 'there' | 'back';

/**
 * A wire that can be cut: whoever connects here is joined to the destination, each connection by
 * one of its own. It knows nothing of what it carries, so that it carries TLS as well; what is under
 * way when it is cut is lost.
 */
export class Relay implements AsyncDisposable {
  /** Told each piece that passes, before it does. */
  onData: (chunk: Buffer) => void = () => undefined;
  readonly #target: string;
  readonly #pipes = new Set<{ readonly from: Socket; readonly to: Socket; readonly way: Way }>();
  // A half that ends before the other is passed on as such.
  readonly #server = createServer({ allowHalfOpen: true, noDelay: true });
  #uri = '';

  /**
   * @param target where the destination listens.
   * @param uri where to listen; a tcp port of 0 is any.
   * @throws {Error} it is in use.
   */
  static async open(target: string, uri = 'tcp:127.0.0.1:0'): Promise<Relay> {
    const relay = new Relay(target);
    relay.#uri = formatAddress(await listenOn(relay.#server, uri));
    return relay;
  }

  private constructor(target: string) {
    this.#target = target;
    this.#server.on('connection', (near) => this.#join(near));
  }

  /** Where it listens, as `migrate` takes it. */
  get uri(): string {
    return this.#uri;
  }

  /** The connections that there are carry nothing any more this way; nobody is told. */
  silence(...ways: readonly Way[]): void {
    for (const { from, to, way } of this.#pipes) {
      if (!ways.includes(way)) continue;
      from.unpipe(to);
      from.pause();
    }
  }

  /** Breaks every connection at once, and takes no more. */
  cut(): void {
    this.#server.close();
    for (const { from } of this.#pipes) from.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = this.#server.listening ? once(this.#server, 'close') : undefined;
    this.cut();
    await closed;
  }

  #join(near: Socket): void {
    const far = connect({ ...connectOptions(this.#target), allowHalfOpen: true });
    this.#carry(near, far, 'there');
    this.#carry(far, near, 'back');
  }

  #carry(from: Socket, to: Socket, way: Way): void {
    const pipe = { from, to, way };
    this.#pipes.add(pipe);
    from.on('error', () => undefined); // 'close' follows, and says all that matters here
    from.on('data', (chunk: Buffer) => this.onData(chunk));
    from.once('close', () => {
      this.#pipes.delete(pipe);
      to.destroySoon();
    });
    from.pipe(to);
  }
}
