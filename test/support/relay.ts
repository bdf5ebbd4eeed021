import { connect, createServer, type Socket } from 'node:net';
import { formatAddress } from '@godwit/transport';
import { connectOptions, listenOn } from './addresses.ts';

/** From the source to the destination, or back. */
type Way = 'there' | 'back';

/** A link that knows nothing of what it carries, so that it carries TLS as well. */
export class Relay implements AsyncDisposable {
  /** Told each piece that passes, before it does. */
  onData: (chunk: Buffer) => void = () => undefined;
  uri = '';
  readonly #target: string;
  readonly #pipes = new Set<{ readonly from: Socket; readonly to: Socket; readonly way: Way }>();
  readonly #server = createServer({ noDelay: true });

  /** Over TCP. @param target where the destination listens. */
  static async open(target: string): Promise<Relay> {
    const relay = new Relay(target);
    relay.uri = formatAddress(await listenOn(relay.#server, 'tcp:127.0.0.1:0'));
    return relay;
  }

  private constructor(target: string) {
    this.#target = target;
    this.#server.on('connection', (socket) => this.#join(socket));
  }

  /** The connections that there are carry nothing any more this way; nobody is told. */
  silence(...ways: readonly Way[]): void {
    for (const { from, to, way } of this.#pipes) {
      if (!ways.includes(way)) continue;
      from.unpipe(to);
      from.pause();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const { from } of this.#pipes) from.destroy();
    await closed;
  }

  #join(source: Socket): void {
    const destination = connect(connectOptions(this.#target));
    this.#carry(source, destination, 'there');
    this.#carry(destination, source, 'back');
  }

  #carry(from: Socket, to: Socket, way: Way): void {
    const pipe = { from, to, way };
    this.#pipes.add(pipe);
    from.on('error', () => undefined); // 'close' follows
    from.on('data', (chunk: Buffer) => this.onData(chunk));
    from.on('close', () => void this.#pipes.delete(pipe));
    from.pipe(to);
  }
}
