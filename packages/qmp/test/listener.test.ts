import { once } from 'node:events';
import { mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { type AddressInfo, createConnection, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { QmpClient } from '../src/client.ts';
import { CLIENTS_MAX } from '../src/listener.ts';
import { QmpServer } from '../src/server.ts';
import { RawClient } from './raw-client.ts';

let directory: string;
let path: string;
let server: QmpServer;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'qmp-listen-'));
  path = join(directory, 'qmp');
  server = new QmpServer({ commands: {} });
});

afterEach(async () => {
  await server.close();
  await rm(directory, { recursive: true });
});

async function greets(address: string): Promise<void> {
  await using client = new RawClient(address);
  expect(await client.message()).toHaveProperty('QMP');
}

async function rawServer(where: string): Promise<Server> {
  const raw = createServer((socket) => socket.destroy()).listen(where);
  await once(raw, 'listening');
  return raw;
}

test('the socket file is for its owner alone, and nothing lies beside it', async () => {
  expect(await server.listen(`unix:${path}`)).toBe(`unix:${path}`);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await readdir(directory)).toEqual(['qmp']);
  await greets(`unix:${path}`);
});

test('close removes the socket file', async () => {
  await server.listen(`unix:${path}`);
  await server.close();
  expect(await readdir(directory)).toEqual([]);
});

test('close leaves a file that is no longer ours', async () => {
  await server.listen(`unix:${path}`);
  await rename(path, join(directory, 'moved'));
  await writeFile(path, 'somebody else');
  await server.close();
  expect(await readdir(directory)).toEqual(['moved', 'qmp']);
});

test('a socket file without a listener is replaced', async () => {
  const dead = await rawServer(join(directory, 'dead'));
  await rename(join(directory, 'dead'), path);
  dead.close();
  await once(dead, 'close');
  expect((await stat(path)).isSocket()).toBe(true);
  await server.listen(`unix:${path}`);
  await greets(`unix:${path}`);
});

test('a socket file with a listener is refused and stays', async () => {
  const other = new QmpServer({ commands: {} });
  await other.listen(`unix:${path}`);
  await expect(server.listen(`unix:${path}`)).rejects.toMatchObject({
    code: 'ERR_ADDRESS_IN_USE',
    message: `cannot listen on unix:${path}: another server is listening there`,
  });
  await greets(`unix:${path}`);
  await other.close();
});

test('a file that is no socket is refused and stays', async () => {
  await writeFile(path, 'precious');
  await expect(server.listen(`unix:${path}`)).rejects.toMatchObject({
    code: 'ERR_ADDRESS_IN_USE',
    message: expect.stringContaining('not a socket'),
  });
  expect(await readdir(directory)).toEqual(['qmp']);
});

test('a directory that is missing is told', async () => {
  await expect(server.listen(`unix:${directory}/none/qmp`)).rejects.toMatchObject({
    code: 'ERR_LISTEN',
    message: expect.stringContaining('ENOENT'),
  });
});

test.each([
  ['tcp:127.0.0.1:0', /^tcp:127\.0\.0\.1:[1-9]\d*$/],
  ['tcp:localhost:0', /^tcp:(127\.0\.0\.1|\[::1\]):[1-9]\d*$/],
  ['tcp:[::1]:0', /^tcp:\[::1\]:[1-9]\d*$/],
])('%s is listened on, with a real port', async (address, real) => {
  const listening = await server.listen(address);
  expect(listening).toMatch(real);
  await greets(listening);
});

test.each(['tcp:0.0.0.0:0', 'tcp::0', 'tcp:[::]:0', 'tcp:192.0.2.1:0'])(
  '%s is refused: QMP stays on this machine',
  async (address) => {
    await expect(server.listen(address)).rejects.toMatchObject({ code: 'ERR_NOT_LOOPBACK' });
  },
);

test('QMP is open to other machines when that is asked for in so many words', async () => {
  expect(await server.listen('tcp:0.0.0.0:0', { insecure: true })).toMatch(/^tcp:0\.0\.0\.0:\d+$/);
});

test('QMP over TLS takes whoever has the key, and nobody else', async () => {
  const keys = { qemu: '00112233445566778899aabbccddeeff' };
  const psk = { type: 'psk', username: 'qemu', keys } as const;
  const isAuthorized = (identity: string): boolean => identity === 'qemu';
  const listening = await server.listen('tcp:0.0.0.0:0', {
    security: { credentials: { ...psk, endpoint: 'server' }, isAuthorized },
  });
  const address = listening.replace('0.0.0.0', '127.0.0.1');
  const connect = async (key: string): Promise<QmpClient> => {
    const credentials = { ...psk, endpoint: 'client', keys: { qemu: key } } as const;
    return await QmpClient.connect(address, { security: { credentials, hostname: undefined } });
  };
  await expect(connect('00'.repeat(16))).rejects.toMatchObject({ code: 'ERR_CONNECT' });
  await expect(QmpClient.connect(address, { timeoutMillis: 200 })).rejects.toThrow(/QMP at/);
  await using client = await connect(keys.qemu);
  expect(await client.execute('query-version')).toHaveProperty('qemu');
});

test('strangers at a port with TLS, however many they are, keep nobody out who has the key', async () => {
  const psk = { type: 'psk', username: 'qemu', keys: { qemu: '00'.repeat(16) } } as const;
  const credentials = { ...psk, endpoint: 'server' } as const;
  const address = await server.listen('tcp:127.0.0.1:0', { security: { credentials } });
  const port = Number(address.split(':').at(-1));
  const strangers = Array.from({ length: 3 * CLIENTS_MAX }, () =>
    createConnection({ host: '127.0.0.1', port }),
  );
  try {
    for (const stranger of strangers) stranger.on('error', () => undefined); // some are thrown out
    for (const stranger of strangers) if (stranger.connecting) await once(stranger, 'connect');
    const security = { credentials: { ...psk, endpoint: 'client' }, hostname: undefined } as const;
    await using client = await QmpClient.connect(address, { security });
    expect(await client.execute('query-version')).toHaveProperty('qemu');
  } finally {
    for (const stranger of strangers) stranger.destroy();
  }
});

test('strangers at a port with TLS go when it is closed', { timeout: 5_000 }, async () => {
  const psk = { type: 'psk', username: 'qemu', keys: { qemu: '00'.repeat(16) } } as const;
  const credentials = { ...psk, endpoint: 'server' } as const;
  const address = await server.listen('tcp:127.0.0.1:0', { security: { credentials } });
  const stranger = createConnection({ host: '127.0.0.1', port: Number(address.split(':').at(-1)) });
  await once(stranger, 'connect');
  const closed = once(stranger.resume(), 'close');
  // Whoever comes in after it was accepted before.
  const security = { credentials: { ...psk, endpoint: 'client' }, hostname: undefined } as const;
  await using _client = await QmpClient.connect(address, { security });
  await server.close();
  await expect(closed).resolves.toEqual([false]);
});

test('a client whose bytes are damaged on the way is gone, and leaves its place to others', async () => {
  const psk = { type: 'psk', username: 'qemu', keys: { qemu: '00'.repeat(16) } } as const;
  const credentials = { ...psk, endpoint: 'server' } as const;
  const address = await server.listen('tcp:127.0.0.1:0', { security: { credentials } });
  const onward = createConnection({ host: '127.0.0.1', port: Number(address.split(':').at(-1)) });
  onward.on('error', () => undefined); // it is ended in the middle
  const relay = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.pipe(onward, { end: false }).pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(relay, 'listening');
  const { port } = relay.address() as AddressInfo;
  const security = { credentials: { ...psk, endpoint: 'client' }, hostname: undefined } as const;
  await using client = await QmpClient.connect(`tcp:127.0.0.1:${port}`, { security });
  onward.write(Buffer.concat([Buffer.from([23, 3, 3, 0, 32]), Buffer.alloc(32)])); // a record of TLS
  // By the server alone: that of the client is not passed on.
  await expect(once(onward, 'end')).resolves.toEqual([]);
  relay.close();
  await client.close();
});

test('a port that is taken is told', async () => {
  const taken = await server.listen('tcp:127.0.0.1:0');
  await expect(server.listen(taken)).rejects.toMatchObject({ code: 'ERR_ADDRESS_IN_USE' });
});

test('an address that is none is refused by what is wrong with it', async () => {
  await expect(server.listen('udp:1')).rejects.toMatchObject({ code: 'ERR_ADDRESS' });
});

test('one server answers on several addresses', async () => {
  const addresses = [await server.listen(`unix:${path}`), await server.listen('tcp:127.0.0.1:0')];
  expect(new Set(addresses).size).toBe(2);
  for (const address of addresses) await greets(address);
});
