import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { pendingBytes, setSocketBuffers, socketPair } from '@godwit/posix';
import { expect, onTestFinished, test } from 'vitest';
import { Channel } from '../src/channel.ts';
import { channelSource } from '../src/channel-io.ts';
import { buffer, owned, within } from './resources.ts';

test('a channel that is shut down ends at both sides and keeps its descriptor', () => {
  const [near, far] = socketPair();
  const memory = buffer(8);
  using channel = new Channel(near, 'main', 0);
  channel.shutdown();
  channel.shutdown();
  expect(channelSource(owned(far))(memory.address, 8)).toBe(0);
  expect(channelSource(near)(memory.address, 8)).toBe(0);
});

test('a channel that is closed gives its descriptor back once and never touches it again', () => {
  const [near, far] = socketPair();
  const memory = buffer(8);
  const channel = new Channel(near, 'urgent', 3);
  channel.close();
  expect(channelSource(owned(far))(memory.address, 8)).toBe(0);
  expect(() => pendingBytes(near)).toThrow(expect.objectContaining({ code: 'EBADF' }));

  const [next, peer] = socketPair().map(owned) as [number, number]; // near's number is free
  expect([next, peer]).toContain(near);
  channel.close();
  channel.shutdown();
  channel[Symbol.dispose]();
  expect([pendingBytes(next), pendingBytes(peer)]).toEqual([0, 0]);
});

test('a bound on what is unsent is the buffer of a Unix socket', () => {
  const [near, far] = socketPair();
  owned(far);
  using channel = new Channel(near, 'main', 0);
  channel.limitUnsent(64 * 1024);
  expect(setSocketBuffers(near, {}).sendBytes).toBe(128 * 1024); // the kernel doubles it
  expect(() => new Channel(-1, 'main', 0).limitUnsent(1)).toThrow(
    expect.objectContaining({ code: 'EBADF' }),
  );
});

test('a bound on what is unread holds for a Unix socket too', () => {
  const [near, far] = socketPair();
  owned(far);
  using channel = new Channel(near, 'main', 0);
  channel.limitUnread(64 * 1024);
  expect(setSocketBuffers(near, {}).receiveBytes).toBe(128 * 1024); // the kernel doubles it
});

test('a TCP peer that takes nothing for as long as it may ends the connection', async () => {
  const server = createServer({ pauseOnConnect: true });
  server.listen(0, '127.0.0.1');
  await within('a listener', once(server, 'listening'));
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  onTestFinished(() => {
    socket.destroy();
    server.close();
  });
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  await within('a connection', once(socket, 'connect'));
  const [peer] = await accepted;
  onTestFinished(() => void peer.destroy());
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
  new Channel(fd, 'main', 0).limitSilence(300); // the socket's own, which closes it
  const ended = once(socket, 'error') as Promise<[NodeJS.ErrnoException]>;
  socket.write(Buffer.alloc(64 * 1024 * 1024)); // more than both ends hold
  const [{ code }] = await within('the end of the connection', ended);
  expect(code).toBe('ETIMEDOUT');
});

test('a Unix socket knows no such limit', () => {
  const [near, far] = socketPair();
  owned(far);
  using channel = new Channel(near, 'main', 0);
  expect(() => channel.limitSilence(300)).not.toThrow();
  expect(() => new Channel(-1, 'main', 0).limitSilence(300)).toThrow(
    expect.objectContaining({ code: 'EBADF' }),
  );
});
