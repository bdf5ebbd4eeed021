import { pendingBytes, setSocketBuffers, socketPair } from '@godwit/posix';
import { expect, test } from 'vitest';
import { Channel } from '../src/channel.ts';
import { channelSource } from '../src/channel-io.ts';
import { buffer, owned } from './resources.ts';

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
