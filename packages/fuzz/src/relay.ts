import { connect, createServer, type Server, type Socket } from 'node:net';
import { type Direction, roleOf } from '@godwit/chaos';
import type { Role } from '@godwit/transport';
import type { Corpus } from './corpus.ts';
import type { LinkPlan, Tamper } from './plan.ts';
import { tamper } from './tamper.ts';
import { type Message, WireCutter } from './wire-cutter.ts';

/** What has reached an end, as far as the wire tells. */
export interface WireJudge {
  /** A frame as its sender meant it. */
  onGenuine(direction: Direction, message: Message): void;
  /** Bytes that were passed on, on this connection. */
  onPassed(connection: number, direction: Direction, bytes: Uint8Array): void;
}

export interface RelayOptions {
  readonly listenPath: string;
  readonly targetPath: string;
  readonly corpus: Corpus;
  readonly judge: WireJudge;
}

/** Stands between a real source and a real destination, and is hostile where a plan says so. */
export class Relay implements AsyncDisposable {
  /** Who ended the link first. */
  firstEnd: 'source' | 'destination' | 'relay' | undefined;
  hasTampered = false;
  lastByteMillis = performance.now();
  /** Of the first hello: the id and the secret of the session, which it hands over in the clear. */
  session: { readonly migrationId: Uint8Array; readonly secret: Uint8Array } | undefined;
  readonly #options: RelayOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #tampers: readonly Tamper[] = [];
  #counts = new Map<string, number>();
  #connections = 0;
  #links = 0;

  static async open(options: RelayOptions): Promise<Relay> {
    const relay = new Relay(options);
    await new Promise<void>((resolve) => {
      relay.#server.listen(options.listenPath, resolve);
    });
    return relay;
  }

  private constructor(options: RelayOptions) {
    this.#options = options;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  /** The next connections are of a new link. */
  beginLink(plan: LinkPlan | undefined): void {
    this.#tampers = plan?.tampers ?? [];
    this.#counts = new Map();
    this.#links += 1;
    this.firstEnd = undefined;
    this.hasTampered = false;
    this.lastByteMillis = performance.now();
  }

  get openConnections(): number {
    return this.#sockets.size;
  }

  cut(): void {
    this.firstEnd ??= 'relay';
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #accept(source: Socket): void {
    const connection = this.#connections++;
    const destination = connect(this.#options.targetPath);
    const identity: { role: Role } = { role: 'main' };
    this.#lane(connection, 'to-destination', source, destination, identity);
    this.#lane(connection, 'to-source', destination, source, identity);
  }

  #lane(
    connection: number,
    direction: Direction,
    from: Socket,
    to: Socket,
    identity: { role: Role },
  ): void {
    const cutter = new WireCutter(direction);
    const held: Buffer[] = [];
    const link = this.#links;
    this.#sockets.add(from);
    from.on('data', (chunk: Buffer) => {
      const messages = cutter.push(chunk);
      // Who only says that it lives is waiting.
      const isSaid = messages.some(({ name }) => name !== 'HEARTBEAT') || cutter.pendingBytes > 0;
      if (isSaid) this.lastByteMillis = performance.now();
      for (const message of messages) {
        const { write, hold, cut } = this.#pass(direction, message, identity);
        if (hold !== undefined) held.push(hold);
        else write.push(...held.splice(0));
        for (const bytes of write) {
          if (!to.writable) continue;
          this.#options.judge.onPassed(connection, direction, bytes);
          to.write(bytes);
        }
        if (cut) return this.#end(from, to);
      }
    });
    const ended = (): void => {
      // What is left of an old link ends whenever it likes.
      const who = direction === 'to-destination' ? 'source' : 'destination';
      if (link === this.#links) this.firstEnd ??= who;
      if (to.writable) to.end();
    };
    from.on('error', () => {
      ended();
      to.destroy();
    });
    from.on('end', ended);
    from.on('close', () => {
      ended();
      this.#sockets.delete(from);
    });
  }

  /** All that was written arrives, and then the end. */
  #end(from: Socket, to: Socket): void {
    this.firstEnd ??= 'relay';
    from.removeAllListeners('data');
    from.resume();
    to.end();
    from.end();
  }

  #pass(
    direction: Direction,
    message: Message,
    identity: { role: Role },
  ): { write: Buffer[]; hold?: Buffer; cut?: boolean } {
    const { corpus, judge } = this.#options;
    const { bytes } = message;
    corpus.record(direction, message);
    if (!message.isFrame) {
      if (message.name === 'hello') this.#note(bytes, identity);
      return { write: [bytes] };
    }
    judge.onGenuine(direction, message);
    const key = `${direction} ${identity.role}`;
    const count = this.#counts.get(key) ?? 0;
    this.#counts.set(key, count + 1);
    const found = this.#tampers.find(
      (one) => one.direction === direction && one.role === identity.role && one.at === count,
    );
    if (found === undefined) return { write: [bytes] };
    this.hasTampered = true;
    const tampered = tamper(found.kind, bytes, found, corpus);
    return { ...tampered, write: [...tampered.write] };
  }

  #note(hello: Buffer, identity: { role: Role }): void {
    identity.role = roleOf(hello) ?? 'main';
    if (hello.readUInt8(11) !== 1) return;
    const migrationId = Uint8Array.from(hello.subarray(16, 32));
    this.session = { migrationId, secret: Uint8Array.from(hello.subarray(48, 80)) };
  }
}
