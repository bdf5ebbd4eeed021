import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatAddress, type Role } from '@godwit/transport';
import { anyAddress, connectOptions, listenOn, type Transport } from './addresses.ts';
import type { CutKind } from './frame-matcher.ts';
import { LinkConnection, reset } from './link-connection.ts';
import { LinkRules } from './link-rules.ts';
import { Deferred } from '../wait.ts';

export interface LinkProxyOptions {
  readonly transport: Transport;
  /** Where socket files go. */
  readonly directory: string;
  /** Where the destination listens. */
  readonly target: string;
}

interface Overtaking {
  /** Another connection has reached the destination. */
  readonly passed: Deferred<void>;
  readonly told: Deferred<'overtaken' | 'alone'>;
  readonly limitMillis: number;
  /** Some connection waits for that. */
  isTaken: boolean;
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
  #overtaking: Overtaking | undefined;
  #isClosed = false;

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

  /**
   * The next connection to come reaches the destination after the one that comes after it.
   *
   * @param limitMillis it is led on then, if no other has come.
   * @returns when it has been led on.
   */
  overtakeNext(limitMillis: number): Promise<'overtaken' | 'alone'> {
    const overtaking = {
      passed: new Deferred<void>(),
      told: new Deferred<'overtaken' | 'alone'>(),
    };
    this.#overtaking = { ...overtaking, limitMillis, isTaken: false };
    return overtaking.told.promise;
  }

  override forgetCuts(): void {
    super.forgetCuts();
    this.#overtaking?.passed.resolve();
    this.#overtaking = undefined;
  }

  override cut(kind: CutKind = 'rst', which: { readonly role?: Role } = {}): void {
    for (const connection of this.#connections) {
      if (which.role === undefined || which.role === connection.identity.role) connection.cut(kind);
    }
    if (which.role === undefined) this.releaseAll(); // what was held is discarded
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.refuseNew();
    this.#overtaking?.passed.resolve();
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
    const overtaking = this.#overtaking;
    const isLate = overtaking !== undefined && !overtaking.isTaken;
    if (isLate) await this.#waitToBeOvertaken(overtaking);
    if (this.#isClosed) return reset(source);
    const destination = connect({ ...connectOptions(this.target), allowHalfOpen: true });
    try {
      await once(destination, 'connect');
    } catch {
      return reset(source); // nobody there: as near to a refusal as an accepted connection gets
    }
    const connection = new LinkConnection(this.#connectionCount++, { source, destination }, this);
    this.#connections.add(connection);
    void connection.closed.then(() => this.#connections.delete(connection));
    if (!isLate) overtaking?.passed.resolve();
  }

  async #waitToBeOvertaken(overtaking: Overtaking): Promise<void> {
    overtaking.isTaken = true;
    const limit = new AbortController();
    const alone = sleep(overtaking.limitMillis, 'alone' as const, limit).catch(
      () => 'alone' as const,
    );
    const overtaken = overtaking.passed.promise.then(() => 'overtaken' as const);
    const how = await Promise.race([overtaken, alone]);
    limit.abort();
    if (this.#overtaking === overtaking) this.#overtaking = undefined;
    overtaking.told.resolve(how);
  }
}
