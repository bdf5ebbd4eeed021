import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { formatAddress, type Role } from '@godwit/transport';
import { anyAddress, connectOptions, listenOn, type Transport } from './addresses.ts';
import type { CutKind } from './frame-matcher.ts';
import { LinkConnection, reset } from './link-connection.ts';
import { LinkRules } from './link-rules.ts';

export interface LinkProxyOptions {
  readonly transport: Transport;
  /** Where socket files go. */
  readonly directory: string;
  /** Where the destination listens. */
  readonly target: string;
}

/**
 * Stands between source and destination, knows what they say, and breaks the link where a test asks
 * for it. It runs in the process of the test: pages pass, but not at full speed.
 */
export class LinkProxy extends LinkRules implements AsyncDisposable {
  /** Where the connections to come are led. */
  target: string;
  readonly #options: LinkProxyOptions;
  readonly #connections = new Set<LinkConnection>();
  #server: Server | undefined;
  #uri = '';
  #connectionCount = 0;

  static async open(options: LinkProxyOptions): Promise<LinkProxy> {
    const proxy = new LinkProxy(options);
    await proxy.listenElsewhere();
    return proxy;
  }

  private constructor(options: LinkProxyOptions) {
    super();
    this.#options = options;
    this.target = options.target;
  }

  /** What the source migrates to. */
  get uri(): string {
    return this.#uri;
  }

  get openConnections(): number {
    return this.#connections.size;
  }

  /** On the address it had before. */
  async listenAgain(): Promise<void> {
    await this.#listen(this.#uri);
  }

  /** On an address that nobody has seen before. */
  async listenElsewhere(): Promise<void> {
    await this.#listen(anyAddress(this.#options.transport, this.#options.directory));
  }

  /** Whoever dials from now on is refused; connections under way stay. */
  refuseNew(): void {
    this.#server?.close();
    this.#server = undefined;
  }

  override cut(kind: CutKind = 'rst', which: { readonly role?: Role } = {}): void {
    for (const connection of this.#connections) {
      if (which.role === undefined || which.role === connection.identity.role) connection.cut(kind);
    }
    if (which.role === undefined) this.releaseAll(); // what was held is discarded
  }

  async close(): Promise<void> {
    this.refuseNew();
    const closed = [...this.#connections].map((connection) => connection.closed);
    this.cut('rst');
    await Promise.all(closed);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #listen(uri: string): Promise<void> {
    this.refuseNew();
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
    server.on('connection', (socket) => void this.#accept(socket));
    this.#server = server;
    this.#uri = formatAddress(await listenOn(server, uri));
  }

  async #accept(source: Socket): Promise<void> {
    source.on('error', () => undefined);
    const destination = connect({ ...connectOptions(this.target), allowHalfOpen: true });
    try {
      await once(destination, 'connect');
    } catch {
      return reset(source); // nobody there: as near to a refusal as an accepted connection gets
    }
    const connection = new LinkConnection(this.#connectionCount++, { source, destination }, this);
    this.#connections.add(connection);
    void connection.closed.then(() => this.#connections.delete(connection));
  }
}
