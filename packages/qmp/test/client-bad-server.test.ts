import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { QmpClient } from '../src/client.ts';
import { failureOf } from './failure-of.ts';
import { useSocketPath } from './socket-path.ts';

const GREETING =
  '{"QMP":{"version":{"qemu":{"micro":0,"minor":0,"major":10},"package":""},"capabilities":["oob"]}}';

const socketPath = useSocketPath();

let server: Server;
let address: string;
let onSocket: (socket: Socket) => void;
const sockets = new Set<Socket>();

beforeEach(async () => {
  onSocket = () => undefined;
  address = `unix:${socketPath.path}`;
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    onSocket(socket);
  }).listen(socketPath.path);
  await once(server, 'listening');
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  server.close();
  await once(server, 'close');
});

/** Greets, accepts the negotiation, and answers the next request with `reply`. */
function answering(reply: string): (socket: Socket) => void {
  return (socket) => {
    socket.write(`${GREETING}\n`);
    socket.once('data', () => {
      socket.write('{"return":{},"id":1}\n');
      socket.once('data', () => socket.write(reply));
    });
  };
}

test('nobody listening is told by the address', async () => {
  await expect(QmpClient.connect(`unix:${socketPath.path}.none`)).rejects.toMatchObject({
    code: 'ERR_CONNECT',
    message: expect.stringContaining(`cannot connect to unix:${socketPath.path}.none: `),
  });
  await expect(QmpClient.connect('nonsense')).rejects.toMatchObject({ code: 'ERR_ADDRESS' });
});

test('a server that says nothing is given up in time', async () => {
  await expect(QmpClient.connect(address, { timeoutMillis: 20 })).rejects.toMatchObject({
    code: 'ERR_TIMEOUT',
    message: `no QMP at ${address} within 20 ms`,
  });
});

test.each([
  ['{"hello":1}\n', 'ERR_PROTOCOL'],
  ['{"QMP":{}}\n', 'ERR_PROTOCOL'],
  ['{"return":{}}\n', 'ERR_PROTOCOL'],
  ['220 smtp.example.org ESMTP\r\n', 'ERR_PROTOCOL'],
  ['', 'ERR_LOST'],
])('%j instead of a greeting is %s', async (text, code) => {
  onSocket = (socket) => socket.end(text);
  await expect(QmpClient.connect(address)).rejects.toMatchObject({ code });
});

test('a server without out-of-band execution is refused when it is asked for', async () => {
  onSocket = (socket) => socket.write(`${GREETING.replace('"oob"', '')}\n`);
  await expect(QmpClient.connect(address, { oob: true })).rejects.toMatchObject({
    code: 'ERR_PROTOCOL',
    message: expect.stringContaining('out-of-band'),
  });
});

test.each([
  ['not JSON', 'not JSON\n'],
  ['neither reply nor event', '{"neither":1}\n'],
  ['a second greeting', `${GREETING}\n`],
  ['an error of no command', '{"error":{"class":"GenericError","desc":"who was that?"}}\n'],
  ['17 MiB', `"${'x'.repeat(17 * 1024 * 1024)}"\n`],
])('%s instead of a reply is ERR_PROTOCOL, and the connection is closed', async (_what, text) => {
  const code = 'ERR_PROTOCOL';
  onSocket = answering(text);
  await using client = await QmpClient.connect(address);
  const failed = failureOf(client.execute('query-status'));
  const told = once(client, 'close');
  expect(await failed).toMatchObject({ code });
  expect(await told).toMatchObject([{ code }]);
  await expect(client.execute('query-status')).rejects.toMatchObject({ code });
});

test('an error class we do not know is a GenericError', async () => {
  onSocket = answering('{"error":{"class":"NewError","desc":"new"},"id":2}\n');
  await using client = await QmpClient.connect(address);
  await expect(client.execute('x')).rejects.toMatchObject({ class: 'GenericError', desc: 'new' });
});

test('a reply in many pieces is one reply', async () => {
  const reply = Buffer.from('{"return":{"text":"€€€"},"id":2}\n');
  onSocket = (socket) => {
    answering('')(socket);
    socket.once('data', () => socket.once('data', () => void drip(socket, reply)));
  };
  await using client = await QmpClient.connect(address);
  expect(await client.execute('x')).toEqual({ text: '€€€' });
});

test('a lost connection rejects every call under way', async () => {
  onSocket = (socket) => {
    answering('')(socket);
    socket.once('data', () => socket.once('data', () => socket.destroy()));
  };
  await using client = await QmpClient.connect(address);
  const results = await Promise.allSettled([client.execute('a'), client.execute('b')]);
  for (const result of results) expect(result).toMatchObject({ reason: { code: 'ERR_LOST' } });
});

async function drip(socket: Socket, bytes: Uint8Array): Promise<void> {
  for (const byte of bytes) {
    await new Promise<void>((resolve) => socket.write(Buffer.of(byte), () => resolve()));
  }
}
