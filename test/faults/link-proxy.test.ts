import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { encodeControl, formatAddress } from '@godwit/transport';
import { describe, expect, test } from 'vitest';
import {
  anyAddress,
  connectOptions,
  listenOn,
  type Transport,
  transports,
} from '../support/addresses.ts';
import { answerBytes, greetingBytes, helloBytes } from '../support/bad-listeners.ts';
import { LinkProxy } from '../support/link-proxy.ts';
import { TestDirectory } from '../support/test-directory.ts';
import { within } from '../support/wait.ts';

const RUN = Buffer.from(encodeControl({ t: 'run', paused: false }));
const RUNNING = Buffer.from(encodeControl({ t: 'running' }));
const PROOF = Buffer.alloc(32, 7);
/** Header written out (docs/PROTOCOL.md, section 3): two pages from page 5 of block 0. */
const PAGES = Buffer.concat([
  Buffer.from('010000000020000005000000000000000200000000000000', 'hex'),
  Buffer.alloc(8192, 0xab),
]);

/** A socket and all that has come on it. */
class Peer {
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
class Fixture implements AsyncDisposable {
  readonly directory: TestDirectory;
  readonly proxy: LinkProxy;
  readonly source: Peer;
  readonly destination: Peer;
  readonly #stop: () => void;

  static async open(transport: Transport): Promise<Fixture> {
    const directory = await TestDirectory.make();
    const server = createServer();
    const address = await listenOn(server, anyAddress(transport, directory.path));
    const target = formatAddress(address);
    const proxy = await LinkProxy.open({ transport, directory: directory.path, target });
    const socket = connect(connectOptions(proxy.uri));
    const [accepted] = (await once(server, 'connection')) as [Socket];
    const ends = { source: new Peer(socket), destination: new Peer(accepted) };
    return new Fixture(directory, proxy, ends, () => server.close());
  }

  static async opened(transport: Transport): Promise<Fixture> {
    const fixture = await Fixture.open(transport);
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
    stop: () => void,
  ) {
    this.directory = directory;
    this.proxy = proxy;
    this.source = ends.source;
    this.destination = ends.destination;
    this.#stop = stop;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy.close();
    this.source.socket.destroy();
    this.destination.socket.destroy();
    this.#stop();
    await this.directory[Symbol.asyncDispose]();
  }
}

describe.each(transports)('the link proxy on %s', (transport) => {
  test('names what passes, in order, and changes no byte of it', async () => {
    await using link = await Fixture.opened(transport);
    for (const byte of Buffer.concat([PAGES.subarray(0, 30)])) {
      link.source.socket.write(Buffer.of(byte)); // a header in pieces is still one header
    }
    link.source.socket.write(Buffer.concat([PAGES.subarray(30), RUN]));
    expect(await link.destination.has(PAGES.byteLength + RUN.byteLength)).toEqual(
      Buffer.concat([PAGES, RUN]),
    );
    link.destination.socket.write(RUNNING);
    expect(await link.source.has(RUNNING.byteLength)).toEqual(RUNNING);
    const names = link.proxy.frames.entries.map((frame) => `${frame.direction} ${frame.name}`);
    expect(names).toEqual([
      'to-source greeting',
      'to-destination hello',
      'to-source answer',
      'to-destination PAGES',
      'to-destination run',
      'to-source running',
    ]);
    expect(link.proxy.frames.entries[3]).toMatchObject({
      connection: { role: 'main', epoch: 3 },
      byteLength: 24 + 8192,
      firstPage: 5,
      pageCount: 2,
    });
  });

  test('a cut before a message lets everything through that came earlier', async () => {
    await using link = await Fixture.opened(transport);
    const cut = link.proxy.cutWhen({ frame: 'run', at: 'before', kind: 'fin' });
    link.source.socket.write(Buffer.concat([PAGES, RUN]));
    expect((await cut).name).toBe('run');
    expect(await link.destination.hasEnded()).toBe('end');
    expect(await link.source.hasEnded()).toBe('end');
    expect(link.destination.received).toEqual(PAGES);
  });

  test('a cut after a message lets it through and nothing behind it', async () => {
    await using link = await Fixture.opened(transport);
    const cut = link.proxy.cutWhen({ frame: 'run', at: 'after', kind: 'fin' });
    link.source.socket.write(Buffer.concat([RUN, PAGES]));
    await cut;
    expect(await link.destination.hasEnded()).toBe('end');
    expect(link.destination.received).toEqual(RUN);
  });

  test('a cut in the middle falls into the body, also when it comes in pieces', async () => {
    await using link = await Fixture.opened(transport);
    const cut = link.proxy.cutWhen({ frame: 'PAGES', nth: 2, at: 'middle', kind: 'fin' });
    link.source.socket.write(Buffer.concat([PAGES, PAGES.subarray(0, 1000)]));
    await link.destination.has(PAGES.byteLength + 1000);
    link.source.socket.write(PAGES.subarray(1000));
    await cut;
    await link.destination.hasEnded();
    expect(link.destination.received.byteLength).toBe(PAGES.byteLength + PAGES.byteLength / 2);
  });

  test('a cut after so many bytes falls anywhere, the opening included', async () => {
    await using link = await Fixture.open(transport);
    const cut = link.proxy.cutAfterBytes({ direction: 'to-source', bytes: 33, kind: 'fin' });
    link.destination.socket.write(Buffer.concat([greetingBytes(), answerBytes(PROOF)]));
    await cut;
    await link.source.hasEnded();
    expect(link.source.received.byteLength).toBe(33);
  });

  test('what is held waits alone, until it is released', async () => {
    await using link = await Fixture.opened(transport);
    const hold = link.proxy.hold({ frame: 'run' });
    link.source.socket.write(Buffer.concat([PAGES, RUN]));
    await hold.reached;
    link.destination.socket.write(RUNNING); // the other direction goes on
    await link.source.has(RUNNING.byteLength);
    expect(link.destination.received.byteLength).toBe(PAGES.byteLength);
    hold.release();
    await link.destination.has(PAGES.byteLength + RUN.byteLength);
  });

  test('what is held when the link is cut never arrives', async () => {
    await using link = await Fixture.opened(transport);
    const hold = link.proxy.hold({ frame: 'run' });
    link.source.socket.write(RUN);
    await hold.reached;
    link.proxy.cut('fin');
    expect(await link.destination.hasEnded()).toBe('end');
    expect(link.destination.received.byteLength).toBe(0);
  });

  test('in a silence nothing passes either way, and nobody is told', async () => {
    await using link = await Fixture.opened(transport);
    link.proxy.silence();
    link.source.socket.write(RUN);
    link.destination.socket.write(RUNNING);
    await link.proxy.seen({ frame: 'run' });
    await link.proxy.seen({ frame: 'running' });
    link.source.socket.end();
    expect([link.source.received.byteLength, link.destination.received.byteLength]).toEqual([0, 0]);
    link.proxy.releaseAll();
    await link.destination.has(RUN.byteLength);
    await link.source.has(RUNNING.byteLength);
    expect(await link.destination.hasEnded()).toBe('end');
  });

  test('the end of one side reaches the other, and the other may still answer', async () => {
    await using link = await Fixture.opened(transport);
    link.destination.socket.allowHalfOpen = true;
    link.source.socket.end(RUN);
    expect(await link.destination.hasEnded()).toBe('end');
    expect(link.destination.received).toEqual(RUN);
  });

  test('whoever dials is refused until the proxy listens again', async () => {
    await using link = await Fixture.opened(transport);
    link.proxy.refuseNew();
    const refused = new Peer(connect(connectOptions(link.proxy.uri)));
    expect(await refused.hasEnded()).toBe('reset');
    link.source.socket.write(RUN); // what stands goes on
    await link.destination.has(RUN.byteLength);
    await link.proxy.listenAgain();
    const again = connect(connectOptions(link.proxy.uri));
    await within(once(again, 'connect'), 'the connection', 5000);
    again.destroy();
  });

  test('what is not the protocol is noted and ends the connection', async () => {
    await using link = await Fixture.opened(transport);
    link.source.socket.write(Buffer.alloc(24, 0xee));
    await link.destination.hasEnded();
    expect(link.proxy.violations).toHaveLength(1);
  });
});

test('a reset tells a tcp peer that it was no orderly end', async () => {
  await using link = await Fixture.opened('tcp');
  link.proxy.cut('rst');
  expect(await link.destination.hasEnded()).toBe('reset');
});
