import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pendingBytes } from '@godwit/posix';
import { expect, onTestFinished } from 'vitest';
import { type Address, parseAddress } from '../src/address.ts';
import type { Channel } from '../src/channel.ts';
import { channelSource, writeBytes } from '../src/channel-io.ts';
import { dial, type DialOptions } from '../src/dial.ts';
import type { ChannelError, ChannelErrorCode } from '../src/errors.ts';
import type { Hello } from '../src/framing/opening.ts';
import { type Admission, Listener, type ListenOptions } from '../src/listen.ts';
import { isSameMigration, newSession, type Session } from '../src/session.ts';
import { buffer, Inbox, LIMIT_MILLIS, socketCount, until, within } from './resources.ts';

const hasIpv6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === '::1'),
);

/** Every kind of address that this host can listen on; a new one with each call. */
export const addressKinds: readonly (readonly [kind: string, address: () => Address])[] = [
  ['tcp on IPv4', () => parseAddress('tcp:127.0.0.1:0')],
  ...(hasIpv6 ? [['tcp on IPv6', () => parseAddress('tcp:[::1]:0')] as const] : []),
  ['unix', () => parseAddress(`unix:${newPath('godwit.sock')}`)],
];

/** @returns a path in a directory of its own, which goes with the test. */
export function newPath(name: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'gt-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return join(directory, name);
}

/** The acceptor's side as core keeps it: it adopts the first session, then knows that one alone. */
export class Destination {
  session: Session | undefined;
  epoch = 0;
  /** Those that were let in; closed with the destination. */
  readonly channels = new Inbox<{ channel: Channel; hello: Hello }>('a channel');
  readonly refused = new Inbox<ChannelError>('a refusal');
  readonly #entered: Channel[] = [];
  #listener: Listener | undefined;

  /** Until the test ends. */
  static async open(
    address: Address,
    timeoutMillis = LIMIT_MILLIS,
    security?: ListenOptions['security'],
  ): Promise<Destination> {
    const destination = new Destination();
    destination.#listener = await Listener.open(address, {
      timeoutMillis,
      admit: (hello) => destination.#admit(hello),
      onChannel: (channel, hello) => destination.#enter(channel, hello),
      onRefused: destination.refused.put,
      ...(security === undefined ? {} : { security }),
    });
    onTestFinished(() => destination.close());
    return destination;
  }

  get listener(): Listener {
    if (this.#listener === undefined) throw new Error('not open');
    return this.#listener;
  }

  get address(): Address {
    return this.listener.address;
  }

  async close(): Promise<void> {
    await within('the end of the listener', this.listener.close());
    for (const channel of this.#entered) channel.close();
    await within('the end of its channels', Promise.all(this.#entered.map(({ ended }) => ended)));
  }

  #admit(hello: Hello): Admission {
    const { session, epoch } = this;
    if (hello.newSession) {
      if (session !== undefined) return { refuse: 'busy', reason: 'a migration is here', epoch };
      return { session: { migrationId: hello.migrationId, secret: hello.proof }, epoch };
    }
    if (session === undefined || !isSameMigration(session, hello)) {
      return { refuse: 'other-session', reason: 'no such migration', epoch };
    }
    if (hello.epoch < epoch) return { refuse: 'stale-epoch', reason: `epoch ${epoch} now`, epoch };
    return { session, epoch };
  }

  #enter(channel: Channel, hello: Hello): void {
    this.#entered.push(channel);
    this.channels.put({ channel, hello });
  }
}

/** The first connection of a new session, unless the options say otherwise. */
export function dialOptions(options: Partial<DialOptions> = {}): DialOptions {
  return {
    session: newSession(),
    role: 'main',
    epoch: 0,
    newSession: options.session === undefined,
    timeoutMillis: LIMIT_MILLIS,
    ...options,
  };
}

/** Dials until the test ends. */
export async function dialOwned(
  address: Address,
  options?: Partial<DialOptions>,
): Promise<Channel> {
  const channel = await within('the opening', dial(address, dialOptions(options)));
  onTestFinished(async () => {
    channel.close();
    await channel.ended;
  });
  return channel;
}

/** What was dialled fails with this code, in time, and the message names the address. */
export async function expectDialFails(
  address: Address,
  options: Partial<DialOptions>,
  code: ChannelErrorCode,
  message = '',
): Promise<void> {
  const dialled = dial(address, dialOptions(options)).then((channel) => {
    channel.close();
    return 'was opened';
  });
  await expect(within(`a failure with ${code}`, dialled)).rejects.toThrow(
    expect.objectContaining({
      name: 'ChannelError',
      code,
      message: expect.stringMatching(new RegExp(`^(tcp|unix):.*${message}`)),
    }),
  );
}

/** The two descriptors are the two ends of one link, and carry bytes both ways. */
export async function expectLinked(a: Channel, b: Channel): Promise<void> {
  const sent = buffer(5000);
  const received = buffer(5000);
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    sent.bytes.set(randomBytes(5000));
    writeBytes(from.descriptor, sent.address, 5000);
    await until('the bytes arrived', () => pendingBytes(to.descriptor) === 5000);
    expect(channelSource(to.descriptor)(received.address, 5000)).toBe(5000);
    expect(received.bytes).toEqual(sent.bytes);
  }
}

/** A peer of the session gets in, whatever came before. */
export async function expectOpen(destination: Destination): Promise<void> {
  const channel = await dialOwned(destination.address);
  await expectLinked(channel, (await destination.channels.take()).channel);
}

/** Every socket that was opened since is closed again. */
export function expectNoLeak(): () => Promise<void> {
  const before = socketCount();
  return async () => {
    await until(`${before} sockets again`, () => socketCount() <= before);
    expect(socketCount()).toBe(before);
  };
}

/** A connection that says what it likes; it ends with the test. */
export async function rawClient(address: Address): Promise<Socket> {
  const socket = connect(targetOf(address));
  socket.on('error', () => undefined); // the other side may end it at any time
  onTestFinished(() => void socket.destroy());
  await within('a connection', once(socket, 'connect'));
  return socket;
}

/** Somebody else's listener, until the test ends. */
export async function rawServer(
  address: Address,
  onConnection: (socket: Socket) => void,
): Promise<{ address: Address; close: () => Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    onConnection(socket);
  });
  server.listen(targetOf(address));
  await within('a listener', once(server, 'listening'));
  const close = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of sockets) socket.destroy();
    await within('the end of a listener', closed);
  };
  onTestFinished(close);
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
  return { address: address.type === 'tcp' ? { ...address, port } : address, close };
}

export function targetOf(address: Address): { path: string } | { host: string; port: number } {
  return address.type === 'unix'
    ? { path: address.path }
    : { host: address.host, port: address.port };
}

/** @returns exactly so many bytes, once they are here. */
export async function readBytes(socket: Socket, byteLength: number): Promise<Buffer> {
  const received: Buffer[] = [];
  let total = 0;
  const complete = new Promise<void>((resolve, reject) => {
    socket.on('close', () => reject(new Error(`closed after ${total} of ${byteLength} bytes`)));
    socket.on('data', (chunk: Buffer) => {
      received.push(chunk);
      total += chunk.byteLength;
      if (total >= byteLength) resolve();
    });
  });
  try {
    await within(`${byteLength} bytes`, complete);
  } finally {
    socket.removeAllListeners('data');
  }
  const bytes = Buffer.concat(received);
  expect(bytes.byteLength).toBe(byteLength);
  return bytes;
}
