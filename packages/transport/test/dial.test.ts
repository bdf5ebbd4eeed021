import { connect, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parseAddress } from '../src/address.ts';
import type { ChannelErrorCode } from '../src/errors.ts';
import {
  ANSWER_BYTES,
  type Answer,
  decodeHello,
  encodeAnswer,
  encodeGreeting,
  GREETING_BYTES,
  HELLO_BYTES,
  type Hello,
} from '../src/framing/opening.ts';
import { answerProof, newSession, type Session } from '../src/session.ts';
import {
  addressKinds,
  Destination,
  dialOwned,
  expectDialFails,
  expectLinked,
  expectNoLeak,
  expectOpen,
  newPath,
  rawServer,
  readBytes,
  targetOf,
} from './openings.ts';
import { until } from './resources.ts';

const loopback = parseAddress('tcp:127.0.0.1:0');

describe.each(addressKinds)('over %s', (_kind, newAddress) => {
  test('a new session is opened, and both ends carry bytes', async () => {
    const destination = await Destination.open(newAddress());
    const session = newSession();
    const near = await dialOwned(destination.address, { session, newSession: true });
    const { channel: far, hello } = await destination.channels.take();
    expect(near).toMatchObject({ role: 'main', epoch: 0 });
    expect(far).toMatchObject({ role: 'main', epoch: 0 });
    expect(hello).toMatchObject({ newSession: true, index: 0 });
    expect(hello.migrationId).toEqual(Uint8Array.from(session.migrationId));
    expect(hello.proof).toEqual(Uint8Array.from(session.secret));
    await expectLinked(near, far);
  });

  test('every further connection proves that it belongs to the session', async () => {
    const destination = await Destination.open(newAddress());
    const session = newSession();
    destination.session = session;
    destination.epoch = 2;
    for (const given of [
      { role: 'main', epoch: 2, index: 0 },
      { role: 'urgent', epoch: 3, index: 1 },
      { role: 'page', epoch: 0xffff_ffff, index: 65_535 },
    ] as const) {
      const near = await dialOwned(destination.address, { ...given, session });
      const { channel: far, hello } = await destination.channels.take();
      expect(near).toMatchObject({ role: given.role, epoch: given.epoch });
      expect(far).toMatchObject({ role: given.role, epoch: given.epoch });
      expect(hello).toMatchObject({ ...given, newSession: false });
      expect(hello.proof).not.toEqual(Uint8Array.from(session.secret));
      await expectLinked(near, far);
    }
  });

  test('a closed channel leaves no descriptor', async () => {
    const expectAllClosed = expectNoLeak();
    const destination = await Destination.open(newAddress());
    const near = await dialOwned(destination.address);
    await destination.channels.take();
    near.close();
    await destination.close();
    await expectAllClosed();
  });

  test('nobody there is a failure to connect', async () => {
    const gone = await Destination.open(newAddress());
    await gone.close();
    const expectAllClosed = expectNoLeak();
    await expectDialFails(gone.address, {}, 'ERR_CONNECT', 'cannot connect');
    await expectAllClosed();
  });
});

describe('a connection is refused by name', () => {
  const session = newSession();
  const impostor: Session = { migrationId: session.migrationId, secret: newSession().secret };
  test.each<[string, object, string]>([
    ['whose secret is wrong', { session: impostor, epoch: 3 }, 'proof'],
    ['of another session', { session: newSession(), epoch: 3 }, 'other-session'],
    ['of an older epoch', { session, epoch: 2 }, 'stale-epoch'],
    ['that opens a second session', { session: newSession(), newSession: true }, 'busy'],
  ])('%s', async (_which, options, status) => {
    const destination = await Destination.open(loopback);
    destination.session = session;
    destination.epoch = 3;
    const expectAllClosed = expectNoLeak();
    await expectDialFails(destination.address, options, 'ERR_REFUSED', `refused \\(${status}\\)`);
    expect((await destination.refused.take()).code).toBe('ERR_REFUSED');
    await expectAllClosed();
    const near = await dialOwned(destination.address, { session, epoch: 3 });
    await expectLinked(near, (await destination.channels.take()).channel);
    expect(destination.channels.count).toBe(0);
  });
});

describe('whoever listens there is no destination of ours, when it', () => {
  const session = newSession();
  const nonce = new Uint8Array(16).fill(5);
  const greeting = encodeGreeting({ versionMin: 1, versionMax: 1, nonce });
  const answer = (part: Partial<Answer>): Buffer =>
    encodeAnswer({ status: 'accepted', epoch: 0, proof: new Uint8Array(32), reason: '', ...part });
  const trueAnswer = (hello: Hello): Buffer => {
    const subject = { ...hello, greetingNonce: nonce, helloNonce: hello.nonce };
    return answer({ proof: answerProof(session, subject) });
  };
  /** Greets as a destination does, then answers the hello with what it is told to. */
  const greetAnd =
    (reply: (hello: Hello, socket: Socket) => Uint8Array) =>
    async (socket: Socket): Promise<void> => {
      socket.write(greeting);
      socket.write(reply(decodeHello(await readBytes(socket, HELLO_BYTES)), socket));
    };
  const changed = (bytes: Buffer, offset: number): Buffer => {
    bytes[offset] = (bytes[offset] ?? 0) ^ 0x80;
    return bytes;
  };

  test.each<[string, ChannelErrorCode, (socket: Socket) => unknown]>([
    ['closes at once', 'ERR_CLOSED', (socket) => socket.destroy()],
    [
      'resets the connection',
      'ERR_CLOSED',
      greetAnd((_hello, socket) => {
        socket.resetAndDestroy();
        return Buffer.alloc(0);
      }),
    ],
    ['ends within its greeting', 'ERR_CLOSED', (socket) => socket.end(greeting.subarray(0, 31))],
    ['ends after its greeting', 'ERR_CLOSED', (socket) => socket.end(greeting)],
    ['speaks HTTP', 'ERR_STRANGER', (socket) => socket.end(`HTTP/1.1 400 Bad Request\r\n\r\n....`)],
    ['does not stop talking', 'ERR_STRANGER', (socket) => socket.write(Buffer.alloc(100_000))],
    [
      'speaks later versions only',
      'ERR_REFUSED',
      (socket) => socket.write(encodeGreeting({ versionMin: 2, versionMax: 3, nonce })),
    ],
    [
      'speaks older versions only',
      'ERR_REFUSED',
      (socket) => socket.write(encodeGreeting({ versionMin: 0, versionMax: 0, nonce })),
    ],
    ['cannot prove anything', 'ERR_STRANGER', greetAnd(() => answer({}))],
    ['hands our own proof back', 'ERR_STRANGER', greetAnd(({ proof }) => answer({ proof }))],
    ['proves another secret', 'ERR_STRANGER', greetAnd((hello) => changed(trueAnswer(hello), 16))],
    ['lacks the magic', 'ERR_STRANGER', greetAnd((hello) => changed(trueAnswer(hello), 0))],
    ['says an unknown status', 'ERR_PROTOCOL', greetAnd((hello) => changed(trueAnswer(hello), 8))],
    [
      'has a reason that is too long',
      'ERR_PROTOCOL',
      greetAnd((hello) => changed(trueAnswer(hello), 11)),
    ],
    [
      'says more than its answer',
      'ERR_PROTOCOL',
      greetAnd((hello) => Buffer.concat([trueAnswer(hello), Buffer.of(0x30)])),
    ],
    [
      'ends within its reason',
      'ERR_CLOSED',
      greetAnd((_hello, socket) => {
        socket.end(answer({ status: 'busy', reason: 'not today' }).subarray(0, ANSWER_BYTES + 3));
        return Buffer.alloc(0);
      }),
    ],
  ])('%s: %s', async (_how, code, speak) => {
    const expectAllClosed = expectNoLeak();
    const server = await rawServer(loopback, (socket) => void speak(socket));
    await expectDialFails(server.address, { session, newSession: false }, code);
    await server.close();
    await expectAllClosed();
  });

  test('and is one, when it proves the session', async () => {
    const server = await rawServer(loopback, (socket) => void greetAnd(trueAnswer)(socket));
    const channel = await dialOwned(server.address, { session, newSession: false });
    expect(channel.role).toBe('main');
  });
});

describe.each(addressKinds)('a link over %s that is cut', (kind, newAddress) => {
  const unix = kind === 'unix';
  const cuts = [
    ...Array.from({ length: GREETING_BYTES + ANSWER_BYTES }, (_value, bytes) => ({
      from: 'acceptor' as const,
      bytes,
    })),
    ...Array.from({ length: HELLO_BYTES }, (_value, bytes) => ({
      from: 'dialler' as const,
      bytes,
    })),
  ];

  test('at any byte of the opening ends it cleanly at both sides', async () => {
    const destination = await Destination.open(newAddress());
    const proxied = unix ? parseAddress(`unix:${newPath('proxy')}`) : newAddress();
    let cut: Cut = { from: 'acceptor', bytes: 0 };
    const proxy = await rawServer(proxied, (socket) => {
      cutLink(socket, connect(targetOf(destination.address)), cut);
    });
    for (cut of cuts) {
      destination.session = undefined;
      const expectAllClosed = expectNoLeak();
      await expectDialFails(proxy.address, {}, 'ERR_CLOSED');
      const inAnswer = cut.from === 'acceptor' && cut.bytes >= GREETING_BYTES;
      // The acceptor has no news of its answer: it holds a channel that ends, or could not answer.
      const { channels, refused } = destination;
      await until('the acceptor noticed', () => channels.count + refused.count === 1);
      if (channels.count > 0) {
        expect(inAnswer).toBe(true);
        (await channels.take()).channel.close();
      } else {
        expect((await refused.take()).code).toBe('ERR_CLOSED');
      }
      await expectAllClosed();
    }
    await expectOpen(destination);
  });
});

interface Cut {
  readonly from: 'dialler' | 'acceptor';
  /** How many of that side's bytes still get through. */
  readonly bytes: number;
}

/** Passes everything on until the cut; then both connections end. */
function cutLink(dialler: Socket, acceptor: Socket, { from, bytes }: Cut): void {
  let left = bytes;
  const end = (): void => {
    dialler.destroy();
    acceptor.destroy();
  };
  for (const [source, sink, isCut] of [
    [dialler, acceptor, from === 'dialler'],
    [acceptor, dialler, from === 'acceptor'],
  ] as const) {
    source.on('error', () => undefined);
    source.on('close', end);
    source.on('data', (chunk: Buffer) => {
      if (!isCut) return void sink.write(chunk);
      const part = chunk.subarray(0, left);
      left -= part.byteLength;
      return void (left === 0 ? sink.write(part, end) : sink.write(part));
    });
  }
}

test('a Unix socket that others have filled the queue of is waited for', async () => {
  const destination = await Destination.open(parseAddress(`unix:${newPath('busy.sock')}`));
  // All in one turn: nobody is accepted before the last has tried.
  const crowd = Array.from({ length: 600 }, () => connect(targetOf(destination.address)));
  const refused: unknown[] = [];
  for (const one of crowd) one.on('error', (error) => refused.push(error));
  onTestFinished(() => crowd.forEach((one) => one.destroy()));
  const session = newSession();
  const near = await dialOwned(destination.address, { session, newSession: true });
  expect(refused).toContainEqual(expect.objectContaining({ code: 'EAGAIN' }));
  const { channel: far } = await destination.channels.take();
  await expectLinked(near, far);
});
