import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { reset } from '../../src/link/link-connection.ts';

async function pair(): Promise<[near: Socket, far: Socket]> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const { port } = server.address() as AddressInfo;
  const near = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  const [[far]] = await Promise.all([accepted, once(near, 'connect')]);
  for (const socket of [near, far]) socket.on('error', () => undefined);
  return [near, far];
}

function openSockets(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
}

test.each([
  ['that carries both ways', () => undefined],
  ['whose FIN is on its way', (near: Socket) => void near.end()],
])('a connection %s is closed by a reset, and nothing of it stays open', async (_, before) => {
  const open = openSockets();
  const [near, far] = await pair();
  before(near);
  reset(near);
  far.destroy();
  await expect.poll(openSockets).toBe(open);
});
