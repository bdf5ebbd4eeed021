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
import { Server } from 'node:net';
import { dirname } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { type Address, formatAddress, parseAddress } from '../src/address.ts';
import { GREETING_BYTES } from '../src/framing/opening.ts';
import { Listener } from '../src/listen.ts';
import {
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
import { LIMIT_MILLIS, within } from './resources.ts';

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
