import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import * as posix from '@godwit/posix';
import { expect, onTestFinished, test, vi } from 'vitest';
import { ChannelError } from '../src/errors.ts';
import { OpeningSocket } from '../src/opening-socket.ts';
import { newPath } from './openings.ts';
import { owned, within } from './resources.ts';

// One call has to fail as it does in a process that has no descriptor to spare.
vi.mock(import('@godwit/posix'), async (original) => {
  const actual = await original();
  return {
    ...actual,
    duplicateDescriptor: vi.fn<(fd: number) => number>(actual.duplicateDescriptor),
  };
});

async function openPair(): Promise<{ opening: OpeningSocket; peer: Socket }> {
  const server = createServer();
  server.listen(newPath('s'));
  await within('a listener', once(server, 'listening'));
  const accepted = once(server, 'connection');
  const peer = connect(server.address() as string);
  peer.on('error', () => undefined);
  const [socket] = (await within('a connection', accepted)) as [Socket];
  const opening = new OpeningSocket(socket);
  onTestFinished(() => {
    opening.destroy(new ChannelError('ERR_ABORTED', 'the test is over'));
    peer.destroy();
    server.close();
  });
  return { opening, peer };
}

const failing = (code: string): unknown => expect.objectContaining({ name: 'ChannelError', code });

test('messages come out whole, however they arrive', async () => {
  const { opening, peer } = await openPair();
  const first = opening.read(5);
  for (const byte of 'godwit') {
    peer.write(byte);
    await within('a turn', new Promise((resolve) => peer.write('', resolve)));
  }
  expect((await within('five bytes', first)).toString()).toBe('godwi');
  expect((await within('the last byte', opening.read(1))).toString()).toBe('t');
});

test('whoever waits is told when the peer leaves, and so is whoever asks later', async () => {
  const { opening, peer } = await openPair();
  const waiting = opening.read(5);
  peer.end('god');
  await expect(within('an end', waiting)).rejects.toThrow(failing('ERR_CLOSED'));
  const { opening: later, peer: gone } = await openPair();
  gone.destroy();
  await expect(within('an end', later.read(1))).rejects.toThrow(failing('ERR_CLOSED'));
});

test('whoever waits is told why it was given up', async () => {
  const { opening } = await openPair();
  const waiting = opening.read(5);
  opening.destroy(new ChannelError('ERR_TIMEOUT', 'no hello'));
  await expect(within('an end', waiting)).rejects.toThrow(failing('ERR_TIMEOUT'));
  expect(() => opening.detach()).toThrow(failing('ERR_CLOSED'));
});

test('a peer that sends more than any opening has is dropped', async () => {
  const { opening, peer } = await openPair();
  const waiting = opening.read(600);
  const closed = once(peer, 'close');
  peer.resume().write(Buffer.alloc(513));
  await expect(within('an end', waiting)).rejects.toThrow(failing('ERR_STRANGER'));
  await within('the end of the connection', closed);
});

test('a connection with bytes that nobody asked for is not handed over', async () => {
  const { opening, peer } = await openPair();
  peer.write('ab');
  await within('a byte', opening.read(1));
  expect(() => opening.detach()).toThrow(failing('ERR_PROTOCOL'));
});

test('a process without a descriptor to spare loses the connection, not its life', async () => {
  const { opening, peer } = await openPair();
  const EMFILE = 24;
  vi.mocked(posix.duplicateDescriptor).mockImplementationOnce(() => {
    throw new posix.SystemError(EMFILE, 'fcntl');
  });
  expect(() => opening.detach()).toThrow(failing('ERR_CLOSED'));
  const closed = once(peer, 'close');
  opening.destroy(new ChannelError('ERR_CLOSED', 'the opening failed'));
  peer.resume();
  await within('the end of the connection', closed);
});

test('a descriptor that was handed over blocks, and outlives the socket it came from', async () => {
  const { opening, peer } = await openPair();
  const descriptor = owned(opening.detach());
  opening.destroy(new ChannelError('ERR_ABORTED', 'too late to matter'));
  const said = once(peer, 'data');
  const text = new posix.NativeBuffer(8);
  text.bytes.set(Buffer.from('frames'));
  posix.write(descriptor, text.address, 6);
  expect(String((await within('bytes', said))[0])).toBe('frames');
});
