import { once } from 'node:events';
import { connect } from 'node:net';
import { connect as tlsConnect, type TLSSocket } from 'node:tls';
import type * as workerThreads from 'node:worker_threads';
import { Worker } from 'node:worker_threads';
import * as posix from '@godwit/posix';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { Channel } from '../src/channel.ts';
import { encodeHello, GREETING_BYTES, NONCE_BYTES } from '../src/framing/opening.ts';
import { newSession } from '../src/session.ts';
import type { TlsCredentials } from '../src/tls/credentials.ts';
import { HANDSHAKES_MAX } from '../src/tls/handshake-turns.ts';
import { clientOptions } from '../src/tls/tls-options.ts';
import {
  type Destination,
  dialOwned,
  expectDialFails,
  expectNoLeak,
  targetOf,
} from './openings.ts';
import { buffer, until, within } from './resources.ts';
import { clientHello, KEY, psk, secureDestination, securely } from './tls-sides.ts';

vi.mock('@godwit/posix', { spy: true });
vi.mock('node:worker_threads', { spy: true });
const realPosix = await vi.importActual<typeof posix>('@godwit/posix');
const { Worker: RealWorker } = await vi.importActual<typeof workerThreads>('node:worker_threads');

test('the reason of a refusal leaves before the connection is ended', async () => {
  const destination = await secureDestination({ credentials: await psk('server', KEY) });
  const secure = securely(await psk('client', KEY));
  await dialOwned(destination.address, secure);
  vi.mocked(posix.shutdownSocket).mockClear();
  const other = { ...secure, session: newSession(), epoch: 1 };
  await expectDialFails(destination.address, other, 'ERR_REFUSED', 'no such migration');
  // By the dialler alone; by both, it would be a matter of which thread is faster whether it got through.
  expect(posix.shutdownSocket).toHaveBeenCalledTimes(1);
});

test('a peer that takes nothing any more does not keep the thread of a channel that was closed', async () => {
  const destination = await secureDestination({ credentials: await psk('server', KEY) });
  const peer = await openByHand(destination, await psk('client', KEY));
  const { channel } = await destination.channels.take();
  peer.pause();
  await fill(channel);
  channel.close();
  await expect(within('the end of the thread', channel.ended)).resolves.toBeUndefined();
});

test.each([
  [
    'cannot be had',
    function (): never {
      throw new Error('no thread can be had');
    },
  ],
  [
    'ends before it has begun',
    function (): Worker {
      return new RealWorker('throw new Error("it has no memory")', { eval: true });
    },
  ],
])('a thread that %s leaves nothing open, and the next connection has one', async (_, begin) => {
  const destination = await secureDestination({ credentials: await psk('server', KEY) });
  const closed = expectNoLeak();
  vi.mocked(Worker).mockImplementationOnce(begin);
  const client = connect(targetOf(destination.address));
  client.on('error', () => undefined);
  client.write(await clientHello());
  client.resume();
  await within('the end of the connection', once(client, 'close'));
  await closed();
  await dialOwned(destination.address, securely(await psk('client', KEY)));
});

test('a thread whose event loop would not have all of its descriptors is not begun', async () => {
  const destination = await secureDestination({ credentials: await psk('server', KEY) });
  const closed = expectNoLeak();
  vi.mocked(Worker).mockClear();
  const EMFILE = 24;
  let left = 5; // of the connection, of the thread's end, and then too few
  onTestFinished(() => void vi.mocked(posix.duplicateDescriptor).mockReset());
  vi.mocked(posix.duplicateDescriptor).mockImplementation((descriptor) => {
    if (left === 0) throw new posix.SystemError(EMFILE, 'fcntl');
    left -= 1;
    return realPosix.duplicateDescriptor(descriptor);
  });
  const client = connect(targetOf(destination.address));
  client.on('error', () => undefined);
  client.write(await clientHello());
  client.resume();
  await within('the end of the connection', once(client, 'close'));
  expect(vi.mocked(Worker)).not.toHaveBeenCalled();
  await closed();
});

test('a crowd that begins a handshake each keeps nobody out, and has no more threads than may be', async () => {
  const destination = await secureDestination({ credentials: await psk('server', KEY) });
  const hello = await clientHello();
  let threads = 0;
  let most = 0;
  vi.mocked(Worker).mockImplementation(function (...args) {
    const worker = new RealWorker(...args);
    most = Math.max(most, (threads += 1));
    worker.once('exit', () => (threads -= 1));
    return worker;
  });
  for (let i = 0; i < 300; i += 1) {
    const stranger = connect(targetOf(destination.address));
    onTestFinished(() => void stranger.destroy());
    stranger.on('error', () => undefined); // to be thrown out is what it expects
    stranger.write(hello);
    stranger.resume();
  }
  await until('many of them are here', () => threads >= 8);
  await dialOwned(destination.address, securely(await psk('client', KEY)));
  const own = 2; // each end of the channel
  expect(most).toBeLessThanOrEqual(HANDSHAKES_MAX + own);
  vi.mocked(Worker).mockReset();
});

/** A peer that opens a channel and can then stop to read, which a pump never does. */
async function openByHand(destination: Destination, secret: TlsCredentials): Promise<TLSSocket> {
  const socket = tlsConnect({ ...clientOptions(secret, ''), ...targetOf(destination.address) });
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => undefined); // the other side may end it at any time
  await within(
    'a greeting',
    until('all of it', () => socket.readableLength >= GREETING_BYTES),
  );
  socket.read();
  const { migrationId, secret: proof } = newSession();
  const begins = { role: 'main', newSession: true, epoch: 0, index: 0 } as const;
  const nonce = new Uint8Array(NONCE_BYTES);
  socket.write(encodeHello({ version: 1, ...begins, migrationId, nonce, proof }));
  return socket;
}

/** Until nothing has been taken for a while. */
async function fill({ descriptor }: Channel): Promise<void> {
  const bytes = buffer(65_536);
  posix.setBlocking(descriptor, false);
  let full = 0;
  await until('all buffers are full', () => {
    const taken = posix.tryWrite(descriptor, bytes.address, bytes.bytes.byteLength);
    if (taken > 0) full = performance.now();
    return performance.now() - full > 300;
  });
}
