import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { connect, Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { type Address, formatAddress, parseAddress } from '../src/address.ts';
import type { ChannelErrorCode } from '../src/errors.ts';
import {
  ANSWER_BYTES,
  decodeAnswer,
  decodeGreeting,
  encodeHello,
  GREETING_BYTES,
  type Hello,
} from '../src/framing/opening.ts';
import { Listener } from '../src/listen.ts';
import { PENDING_MAX } from '../src/pending-openings.ts';
import { helloProof, newSession } from '../src/session.ts';
import {
  addressKinds,
  Destination,
  dialOwned,
  expectDialFails,
  expectLinked,
  expectNoLeak,
  expectOpen,
  newPath,
  rawClient,
  rawServer,
  readBytes,
} from './openings.ts';
import { LIMIT_MILLIS, until, within } from './resources.ts';

const loopback = parseAddress('tcp:127.0.0.1:0');

function unixAddress(name = 'godwit.sock'): { type: 'unix'; path: string } {
  return { type: 'unix', path: newPath(name) };
}

async function expectCannotListen(address: Address, why: string): Promise<void> {
  const expectAllClosed = expectNoLeak();
  const nobody = (): never => expect.unreachable('nobody dials it');
  const options = { timeoutMillis: LIMIT_MILLIS, admit: nobody, onChannel: nobody };
  await expect(within('a failure', Listener.open(address, options))).rejects.toThrow(
    expect.objectContaining({
      name: 'ChannelError',
      code: 'ERR_LISTEN',
      message: expect.stringMatching(new RegExp(why)),
    }),
  );
  await expectAllClosed();
}

describe('an address over tcp', () => {
  test('has the port that the system chose', async () => {
    const { address } = await Destination.open(loopback);
    expect(address).toMatchObject({ type: 'tcp', host: '127.0.0.1' });
    expect(address).not.toMatchObject({ port: 0 });
  });

  test('without a host is listened on at every address, and can be dialled as it is told', async () => {
    const destination = await Destination.open(parseAddress('tcp::0'));
    const { address } = destination;
    await expectOpen(destination);
    destination.session = undefined;
    const port = address.type === 'tcp' ? address.port : 0;
    const near = await dialOwned(parseAddress(`tcp:127.0.0.1:${port}`));
    await expectLinked(near, (await destination.channels.take()).channel);
    destination.session = undefined;
    await dialOwned(parseAddress(`tcp::${port}`));
    await destination.channels.take();
  });

  test('that somebody listens on is refused', async () => {
    const { address } = await Destination.open(loopback);
    await expectCannotListen(address, 'EADDRINUSE');
  });

  test('of another host is refused', async () => {
    await expectCannotListen(parseAddress('tcp:192.0.2.1:0'), 'EADDRNOTAVAIL');
  });
});

describe('a socket file', () => {
  test('is for its owner alone', async () => {
    const umask = process.umask(0o022);
    const address = unixAddress();
    await Destination.open(address);
    expect(process.umask(umask)).toBe(0o022); // as it was before
    expect(statSync(address.path).mode & 0o777).toBe(0o600);
  });

  test('may have a path as long as an address holds', async () => {
    const directory = dirname(newPath('x'));
    const path = `${directory}/`.padEnd(107, 'x');
    const address = parseAddress(`unix:${path}`);
    await expectOpen(await Destination.open(address));
    expect(existsSync(path)).toBe(true);
  });

  test('goes when its listener is closed', async () => {
    const address = unixAddress();
    const destination = await Destination.open(address);
    expect(existsSync(address.path)).toBe(true);
    await destination.close();
    expect(existsSync(address.path)).toBe(false);
  });

  test('that a dead process left is replaced', async () => {
    const address = unixAddress();
    const before = await rawServer({ ...address, path: `${address.path}.old` }, () => undefined);
    renameSync(`${address.path}.old`, address.path); // so that closing it does not remove it
    await before.close();
    expect(statSync(address.path).isSocket()).toBe(true);
    await expectOpen(await Destination.open(address));
  });

  test('that somebody listens on is refused, and left alone', async () => {
    const address = unixAddress();
    const destination = await Destination.open(address);
    await expectCannotListen(address, 'listens there already');
    await expectOpen(destination);
  });

  test('does not take the place of another file, whose content and mode stay', async () => {
    const address = unixAddress();
    writeFileSync(address.path, 'precious');
    chmodSync(address.path, 0o644);
    await expectCannotListen(address, 'EADDRINUSE');
    expect(readFileSync(address.path, 'utf8')).toBe('precious');
    expect(statSync(address.path).mode & 0o777).toBe(0o644);
  });

  test('does not take the place of a directory', async () => {
    const address = unixAddress();
    mkdirSync(address.path, { mode: 0o755 });
    await expectCannotListen(address, 'EADDRINUSE');
    expect(statSync(address.path).isDirectory()).toBe(true);
    expect(statSync(address.path).mode & 0o777).toBe(0o755);
  });

  test('needs a directory', async () => {
    await expectCannotListen(unixAddress('missing/godwit.sock'), 'cannot listen on unix:');
  });
});

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

test('a listener that closes drops the openings under way and no channel', async () => {
  const destination = await Destination.open(loopback);
  const near = await dialOwned(destination.address);
  const { channel: far } = await destination.channels.take();
  const client = await rawClient(destination.address);
  await readBytes(client, GREETING_BYTES);
  const dropped = once(client, 'close');
  client.resume();
  await within('the end of the listener', destination.listener.close());
  await within('the end of the opening', dropped);
  expect((await destination.refused.take()).code).toBe('ERR_ABORTED');
  await expectLinked(near, far);
  await expectDialFails(destination.address, {}, 'ERR_CONNECT');
  await within('a second close', destination.listener.close());
});

test('a connection that cannot be accepted is told, and the listener goes on', async () => {
  const listen = vi.spyOn(Server.prototype, 'listen');
  const destination = await Destination.open(loopback);
  const server = listen.mock.contexts[0] as Server;
  listen.mockRestore();
  server.emit('error', Object.assign(new Error('accept ECONNABORTED'), { code: 'ECONNABORTED' }));
  expect(await destination.refused.take()).toMatchObject({
    name: 'ChannelError',
    code: 'ERR_LISTEN',
    message: expect.stringContaining('ECONNABORTED'),
  });
  await expectOpen(destination);
});

test('the address that a listener tells is the one that was asked for', async () => {
  const address = unixAddress();
  const destination = await Destination.open(address);
  expect(formatAddress(destination.address)).toBe(`unix:${address.path}`);
});
