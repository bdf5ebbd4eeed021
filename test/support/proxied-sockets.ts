import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { encodeControl, formatAddress } from '@godwit/transport';
import { anyAddress, connectOptions, listenOn, type Transport } from './addresses.ts';
import { answerBytes, greetingBytes, helloBytes } from './bad-listeners.ts';
import { LinkProxy } from './link-proxy.ts';
import { TestDirectory } from './test-directory.ts';
import { within } from './wait.ts';

export const RUN = Buffer.from(encodeControl({ t: 'run', paused: false }));
export const RUNNING = Buffer.from(encodeControl({ t: 'running' }));
export const PROOF = Buffer.alloc(32, 7);
/** Header written out (docs/PROTOCOL.md, section 3): two pages from page 5 of block 0. */
export const PAGES = Buffer.concat([
  Buffer.from('010000000020000005000000000000000200000000000000', 'hex'),
  Buffer.alloc(8192, 0xab),
]);

/** A socket and all that has come on it. */
export class Peer {
  readonly socket: Socket;
  received = Buffer.alloc(0);
  readonly ended: Promise<'end' | 'reset'>;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk]);
      socket.emit('more');
    });
    this.ended = new Promise((resolve) => {
      socket.on('end', () => resolve('end'));
      socket.on('error', () => resolve('reset'));
    });
  }

  async has(bytes: number): Promise<Buffer> {
    const enough = async (): Promise<void> => {
      while (this.received.byteLength < bytes) await once(this.socket, 'more');
    };
    await within(enough(), `${bytes} bytes`, 5000);
    return this.received;
  }

  async hasEnded(): Promise<'end' | 'reset'> {
    return await within(this.ended, 'the end of the connection', 5000);
  }
}

/** Two plain sockets with the proxy between them, after an opening or before any byte. */
export class ProxiedSockets implements AsyncDisposable {
  readonly directory: TestDirectory;
  readonly proxy: LinkProxy;
  readonly source: Peer;
  readonly destination: Peer;
  readonly #server: Server;
  readonly #peers: Peer[] = [];

  static async open(transport: Transport): Promise<ProxiedSockets> {
    const directory = await TestDirectory.make();
    const server = createServer();
    const address = await listenOn(server, anyAddress(transport, directory.path));
    const target = formatAddress(address);
    const proxy = await LinkProxy.open({ transport, directory: directory.path, target });
    const socket = connect(connectOptions(proxy.uri));
    const [accepted] = (await once(server, 'connection')) as [Socket];
    const ends = { source: new Peer(socket), destination: new Peer(accepted) };
    return new ProxiedSockets(directory, proxy, ends, server);
  }

  static async opened(transport: Transport): Promise<ProxiedSockets> {
    const fixture = await ProxiedSockets.open(transport);
    fixture.destination.socket.write(greetingBytes());
    await fixture.source.has(32);
    fixture.source.socket.write(helloBytes(1, 3));
    await fixture.destination.has(96);
    fixture.destination.socket.write(answerBytes(PROOF, 0, 'because'));
    await fixture.source.has(32 + 48 + 7);
    fixture.source.received = Buffer.alloc(0);
    fixture.destination.received = Buffer.alloc(0);
    return fixture;
  }

  private constructor(
    directory: TestDirectory,
    proxy: LinkProxy,
    ends: { source: Peer; destination: Peer },
    server: Server,
  ) {
    this.directory = directory;
    this.proxy = proxy;
    this.source = ends.source;
    this.destination = ends.destination;
    this.#server = server;
    this.#peers.push(this.destination);
    server.on('connection', (socket) => this.#peers.push(new Peer(socket)));
  }

  /** Of the connections to come. */
  onAccepted(look: (peer: Peer) => void): void {
    this.#server.on('connection', () => look(this.#peers.at(-1) as Peer));
  }

  /** So many have reached the destination. */
  async accepted(count: number): Promise<void> {
    while (this.#peers.length < count) await once(this.#server, 'connection');
  }

  /** Asks after each chunk that reaches the destination. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      await Promise.race(this.#peers.map(({ socket }) => once(socket, 'more')));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy.close();
    this.source.socket.destroy();
    this.destination.socket.destroy();
    for (const { socket } of this.#peers) socket.destroy();
    this.#server.close();
    await this.directory[Symbol.asyncDispose]();
  }
}
