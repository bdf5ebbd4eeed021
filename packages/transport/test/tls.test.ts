import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect as netConnect, type Socket } from 'node:net';
import { pendingBytes, POLLIN, PollSet } from '@godwit/posix';
import { describe, expect, onTestFinished, test } from 'vitest';
import { channelSource, writeBytes } from '../src/channel-io.ts';
import type { ChannelErrorCode } from '../src/errors.ts';
import {
  addressKinds,
  Destination,
  dialOwned,
  expectDialFails,
  expectLinked,
  rawClient,
  rawServer,
} from './openings.ts';
import { buffer, socketCount, until, within } from './resources.ts';
import { clientHello, KEY, loopback, psk, secureDestination, securely, x509 } from './tls-sides.ts';

describe.each(addressKinds)('over %s', (_kind, address) => {
  test('a channel carries the same bytes through TLS, both ways', async () => {
    const credentials = await x509('server');
    const destination = await Destination.open(address(), undefined, () => ({ credentials }));
    const channel = await dialOwned(
      destination.address,
      securely(await x509('client'), 'localhost'),
    );
    await expectLinked(channel, (await destination.channels.take()).channel);
  });

  test('a channel carries the same bytes through TLS with a key that both know', async () => {
    const credentials = await psk('server', KEY);
    const destination = await Destination.open(address(), undefined, () => ({ credentials }));
    const channel = await dialOwned(destination.address, securely(await psk('client', KEY)));
    await expectLinked(channel, (await destination.channels.take()).channel);
  });
});

test('what was written before the end arrives, and then the end', async () => {
  const destination = await secureDestination({ credentials: await x509('server') });
  const channel = await dialOwned(destination.address, securely(await x509('client')));
  const { channel: there } = await destination.channels.take();
  const sent = buffer(100_000);
  sent.bytes.set(randomBytes(sent.bytes.byteLength));
  writeBytes(channel.descriptor, sent.address, sent.bytes.byteLength);
  channel.close();
  await within('the end of the thread', channel.ended);
  const received = buffer(100_000);
  await until('all of it', () => pendingBytes(there.descriptor) === 100_000);
  const read = channelSource(there.descriptor);
  for (let done = 0; done < 100_000;) done += read(received.address + done, 100_000 - done);
  expect(received.bytes).toEqual(sent.bytes);
  expect(read(received.address, 1)).toBe(0);
});

test('whichever side shuts a channel down, the other sees its end, and nothing is left open', async () => {
  const before = socketCount();
  const destination = await secureDestination({ credentials: await x509('server') });
  const credentials = await x509('client');
  for (const first of ['source', 'destination'] as const) {
    const channel = await dialOwned(destination.address, securely(credentials));
    const { channel: there } = await destination.channels.take();
    const [one, other] = first === 'source' ? [channel, there] : [there, channel];
    one.shutdown();
    const byte = buffer(1);
    await until('the end', () => isAtEnd(other.descriptor));
    expect(channelSource(other.descriptor)(byte.address, 1)).toBe(0);
    channel.close();
    there.close();
    await within('the end of both threads', Promise.all([channel.ended, there.ended]));
  }
  await destination.close();
  expect(socketCount()).toBe(before);
});

test.each<[string, boolean, ChannelErrorCode]>([
  ['time is over', false, 'ERR_TIMEOUT'],
  ['it is given up', true, 'ERR_ABORTED'],
])(
  'a handshake that hangs ends when %s, and leaves nothing open',
  async (_why, isGivenUp, code) => {
    const given = new AbortController();
    const silent = await rawServer(loopback, (socket) => {
      socket.once('data', () => isGivenUp && given.abort()); // its first word of TLS is here
    });
    const before = socketCount();
    const options = isGivenUp ? { signal: given.signal } : { timeoutMillis: 200 };
    const secure = { ...securely(await x509('client')), ...options };
    await expectDialFails(silent.address, secure, code);
    await silent.close();
    await until('no more sockets than before', () => socketCount() < before);
  },
);

test('a handshake that hangs at the listener ends when time is over', async () => {
  const destination = await secureDestination({ credentials: await x509('server') }, 300);
  const socket = await rawClient(destination.address);
  socket.resume();
  socket.write(await clientHello());
  await within('the end', once(socket, 'close'));
  expect((await destination.refused.take()).code).toBe('ERR_TIMEOUT');
});

test('nothing that is sent can be read on the wire', async () => {
  const destination = await secureDestination({ credentials: await x509('server') });
  const target = destination.address as { host: string; port: number };
  const seen: Buffer[] = [];
  const relay = await rawServer(loopback, (socket) => {
    const onward = relayTo(target);
    for (const [from, to] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      from.on('data', (chunk: Buffer) => {
        seen.push(chunk);
        to.write(chunk);
      });
      from.on('close', () => to.destroy());
    }
  });
  const channel = await dialOwned(relay.address, securely(await x509('client')));
  await expectLinked(channel, (await destination.channels.take()).channel);
  const all = Buffer.concat(seen);
  expect(all.byteLength).toBeGreaterThan(10_000);
  expect(all.includes('GODWIT')).toBe(false);
});

test('what is damaged on the way ends the connection, at both ends', async () => {
  const destination = await secureDestination({ credentials: await x509('server') });
  const target = destination.address as { host: string; port: number };
  let onward: Socket | undefined;
  const relay = await rawServer(loopback, (socket) => {
    onward = relayTo(target);
    socket.pipe(onward).pipe(socket);
  });
  const near = await dialOwned(relay.address, securely(await x509('client')));
  const { channel: far } = await destination.channels.take();
  onward?.write(Buffer.concat([RECORD_OF_32_BYTES, randomBytes(32)]));
  const ends = until('both ends', () => isAtEnd(far.descriptor) && isAtEnd(near.descriptor));
  await expect(ends).resolves.toBeUndefined();
});

/** Data, as TLS 1.3 writes it (RFC 8446, section 5.1). */
const RECORD_OF_32_BYTES = Buffer.from([23, 3, 3, 0, 32]);

function relayTo({ host, port }: { host: string; port: number }): Socket {
  const socket = netConnect({ host, port });
  socket.on('error', () => undefined);
  onTestFinished(() => void socket.destroy());
  return socket;
}

/** Nothing to read, and nothing will come: a read returns 0 instead of waiting. */
function isAtEnd(descriptor: number): boolean {
  poll ??= new PollSet(1);
  poll.set(0, descriptor, POLLIN);
  return poll.poll(0, 1) > 0 && pendingBytes(descriptor) === 0;
}

let poll: PollSet | undefined;
