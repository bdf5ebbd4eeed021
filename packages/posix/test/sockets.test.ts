import { once } from 'node:events';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { read, write } from '../src/io.ts';
import {
  pendingBytes,
  setKeepAlive,
  setNoDelay,
  setSocketBuffers,
  setUnsentMax,
  setUserTimeout,
  shutdownSocket,
  socketPair,
  unsentBytes,
} from '../src/sockets.ts';
import { buffer, memfd, owned } from './resources.ts';

/** The descriptor of one end of a TCP connection that Node holds. */
async function tcpDescriptor(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [peer] = (await accepted) as [Socket];
  await (client.connecting ? once(client, 'connect') : undefined);
  onTestFinished(() => {
    client.destroy();
    peer.destroy();
    server.close();
  });
  // Node has no public way to a socket's descriptor; only this test needs one.
  return (client as unknown as { _handle: { fd: number } })._handle.fd;
}

test('what was written is pending at the peer until it is read', () => {
  const [near, far] = socketPair().map(owned) as [number, number];
  const memory = buffer(64);
  expect([pendingBytes(far), unsentBytes(near)]).toEqual([0, 0]);
  write(near, memory.address, 64);
  expect(pendingBytes(far)).toBe(64);
  expect(unsentBytes(near)).toBeGreaterThanOrEqual(64);
  read(far, memory.address, 64);
  expect([pendingBytes(far), unsentBytes(near)]).toEqual([0, 0]);
});

test('a direction that is shut down ends there, and the other goes on', () => {
  const [near, far] = socketPair().map(owned) as [number, number];
  const memory = buffer(8);
  shutdownSocket(near, 'write');
  expect(read(far, memory.address, 8)).toBe(0);
  write(far, memory.address, 8);
  expect(read(near, memory.address, 8)).toBe(8);
  shutdownSocket(near, 'read');
  expect(read(near, memory.address, 8)).toBe(0);
  shutdownSocket(near, 'both');
  expect(() => shutdownSocket(-1, 'both')).toThrow(expect.objectContaining({ code: 'EBADF' }));
});

test('buffers are as large as the answer says', () => {
  const [near] = socketPair().map(owned) as [number, number];
  const granted = setSocketBuffers(near, { sendBytes: 65_536 });
  expect(granted.sendBytes).toBe(2 * 65_536);
  expect(setSocketBuffers(near, { receiveBytes: 32_768 })).toEqual({
    sendBytes: 2 * 65_536,
    receiveBytes: 2 * 32_768,
  });
});

test('the options of TCP are taken by a TCP socket and refused by another', async () => {
  const tcp = await tcpDescriptor();
  const [unix] = socketPair().map(owned) as [number, number];
  const options: ((fd: number) => void)[] = [
    (fd) => setNoDelay(fd),
    (fd) => setUserTimeout(fd, 5000),
    (fd) => setUnsentMax(fd, 65_536),
    (fd) => setKeepAlive(fd, { idleSeconds: 10, intervalSeconds: 5, count: 3 }),
  ];
  for (const option of options) {
    option(tcp);
    expect(() => option(unix)).toThrow(expect.objectContaining({ syscall: 'setsockopt' }));
  }
  expect(() => setKeepAlive(tcp, { idleSeconds: 0, intervalSeconds: 5, count: 3 })).toThrow(
    expect.objectContaining({ code: 'EINVAL' }),
  );
});

test('what is no socket is refused', () => {
  const fd = memfd(8);
  expect(() => shutdownSocket(fd, 'both')).toThrow(expect.objectContaining({ code: 'ENOTSOCK' }));
  expect(() => setSocketBuffers(fd, {})).toThrow(expect.objectContaining({ code: 'ENOTSOCK' }));
  expect(() => unsentBytes(fd)).toThrow(expect.objectContaining({ code: 'ENOTTY' }));
});
