import { connect, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parseAddress } from '../src/address.ts';
import type { ChannelErrorCode } from '../src/errors.ts';
import {
  ANSWER_BYTES,
  decodeAnswer,
  decodeGreeting,
  encodeHello,
  GREETING_BYTES,
  type Hello,
} from '../src/framing/opening.ts';
import { PENDING_MAX } from '../src/pending-openings.ts';
import { helloProof, newSession } from '../src/session.ts';
import {
  addressKinds,
  Destination,
  dialOwned,
  expectLinked,
  expectNoLeak,
  expectOpen,
  rawClient,
  readBytes,
} from './openings.ts';
import { LIMIT_MILLIS, until } from './resources.ts';

const loopback = parseAddress('tcp:127.0.0.1:0');

describe.each(addressKinds)('a stranger over %s', (_kind, newAddress) => {
  /** A hello that would open a session, were it not for the changes. */
  const hello = (changes: Partial<Hello> = {}): Buffer =>
    encodeHello({
      version: 1,
      role: 'main',
      newSession: true,
      epoch: 0,
      migrationId: new Uint8Array(16).fill(1),
      nonce: new Uint8Array(16).fill(2),
      proof: new Uint8Array(32).fill(3),
      index: 0,
      ...changes,
    });
  const unknownRole = hello();
  unknownRole[10] = 9;
  const http = 'GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: somebody\r\n';

  test.each<[string, ChannelErrorCode, (socket: Socket) => unknown]>([
    ['closes at once', 'ERR_CLOSED', (socket) => socket.end()],
    ['says nothing', 'ERR_TIMEOUT', () => undefined],
    ['speaks HTTP', 'ERR_STRANGER', (socket) => socket.write(`${http}Cookie: ${'x'.repeat(99)}`)],
    ['starts to speak HTTP', 'ERR_TIMEOUT', (socket) => socket.write(http)],
    ['sends zeros without end', 'ERR_STRANGER', (socket) => socket.write(Buffer.alloc(1_000_000))],
    ['says half a hello', 'ERR_TIMEOUT', (socket) => socket.write(hello().subarray(0, 95))],
    ['leaves after half a hello', 'ERR_CLOSED', (socket) => socket.end(hello().subarray(0, 48))],
    [
      'resets after half a hello',
      'ERR_CLOSED',
      (socket) => {
        socket.write(hello().subarray(0, 48), () => {
          // Only TCP knows a reset.
          if (socket.remoteFamily === undefined) socket.destroy();
          else socket.resetAndDestroy();
        });
      },
    ],
    ['names an unknown role', 'ERR_PROTOCOL', (socket) => socket.write(unknownRole)],
    ['speaks another version', 'ERR_REFUSED', (socket) => socket.write(hello({ version: 2 }))],
    ['knows no session', 'ERR_REFUSED', (socket) => socket.write(hello({ newSession: false }))],
    [
      'says more than a hello',
      'ERR_PROTOCOL',
      (socket) => socket.write(Buffer.concat([hello(), Buffer.of(0x30)])),
    ],
  ])('that %s is refused, and the peer gets in', async (_how, code, speak) => {
    // Where time is up in the end, soon; elsewhere nothing may depend on how fast the host is.
    const timeoutMillis = code === 'ERR_TIMEOUT' ? 250 : LIMIT_MILLIS;
    const destination = await Destination.open(newAddress(), timeoutMillis);
    const expectAllClosed = expectNoLeak();
    const stranger = await rawClient(destination.address);
    speak(stranger);
    expect((await destination.refused.take()).code).toBe(code);
    stranger.destroy();
    await expectAllClosed();
    expect(destination.channels.count).toBe(0);
    await expectOpen(destination);
  });
});

test('a version that is not spoken is refused by name', async () => {
  const destination = await Destination.open(loopback);
  const client = await rawClient(destination.address);
  expect(decodeGreeting(await readBytes(client, GREETING_BYTES))).toMatchObject({
    versionMin: 1,
    versionMax: 1,
  });
  const answered = readBytes(client, ANSWER_BYTES + Buffer.byteLength('version 1 is spoken here'));
  const hello = { ...recovery(newSession()), version: 7 };
  client.write(encodeHello(hello));
  expect(decodeAnswer(await answered)).toMatchObject({
    status: 'version',
    reason: 'version 1 is spoken here',
    proof: new Uint8Array(32),
  });
});

test('a proof that was overheard opens nothing: the next greeting asks for another', async () => {
  const session = newSession();
  const destination = await Destination.open(loopback);
  destination.session = session;
  const overhear = async (): Promise<{ client: Socket; greetingNonce: Uint8Array }> => {
    const client = await rawClient(destination.address);
    const { nonce } = decodeGreeting(await readBytes(client, GREETING_BYTES));
    return { client, greetingNonce: nonce };
  };
  const hello = recovery(session);
  const first = await overhear();
  const subject = { ...hello, greetingNonce: first.greetingNonce, helloNonce: hello.nonce };
  const proved = encodeHello({ ...hello, proof: helloProof(session, subject) });
  first.client.write(proved);
  expect((await destination.channels.take()).hello.epoch).toBe(1);

  const second = await overhear();
  expect(second.greetingNonce).not.toEqual(first.greetingNonce);
  second.client.write(proved);
  expect((await destination.refused.take()).message).toContain('(proof)');
  expect(destination.channels.count).toBe(0);
});

function recovery(session: { readonly migrationId: Uint8Array }): Hello {
  return {
    version: 1,
    role: 'main',
    newSession: false,
    epoch: 1,
    migrationId: session.migrationId,
    nonce: new Uint8Array(16).fill(6),
    proof: new Uint8Array(32),
    index: 0,
  };
}

test.each(addressKinds)(
  '1 000 idle strangers over %s keep nobody out',
  async (_kind, newAddress) => {
    const destination = await Destination.open(newAddress());
    const expectAllClosed = expectNoLeak();
    const strangers: Socket[] = [];
    while (strangers.length < 1000) {
      const some = Array.from({ length: 100 }, () => rawClient(destination.address));
      const hundred = await Promise.all(some);
      // Accepted, before the next come: a Unix socket refuses more than its backlog.
      await Promise.all(hundred.map(async (it) => await readBytes(it, GREETING_BYTES)));
      strangers.push(...hundred);
    }
    await expectOpenAndClose(destination);
    await until('the oldest were dropped', () => destination.refused.count >= 1000 - PENDING_MAX);
    expect(await destination.refused.take()).toMatchObject({
      code: 'ERR_REFUSED',
      message: expect.stringContaining('too many'),
    });
    for (const stranger of strangers) stranger.destroy();
    await expectAllClosed();
  },
);

test('a flood from one address does not push out an opening from another', async () => {
  const destination = await Destination.open(loopback);
  const { port } = destination.address as { port: number };
  const elsewhere = connect({ host: '127.0.0.1', port, localAddress: '127.0.0.2' });
  onTestFinished(() => void elsewhere.destroy());
  await readBytes(elsewhere, GREETING_BYTES);
  for (let i = 0; i < 10; i += 1) {
    const some = Array.from({ length: 100 }, () => rawClient(destination.address));
    await Promise.all(some);
  }
  const dropped = 1 + 1000 - PENDING_MAX;
  await until('the oldest were dropped', () => destination.refused.count === dropped);
  elsewhere.end();
  elsewhere.resume();
  await until('it was let be until it left', () => destination.refused.count === dropped + 1);
  const reasons = await Promise.all(
    Array.from({ length: destination.refused.count }, () => destination.refused.take()),
  );
  expect(reasons.filter(({ code }) => code === 'ERR_CLOSED')).toHaveLength(1);
});

async function expectOpenAndClose(destination: Destination): Promise<void> {
  const near = await dialOwned(destination.address);
  const { channel: far } = await destination.channels.take();
  await expectLinked(near, far);
  near.close();
  far.close();
}
