import { getEventListeners, once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { type Address, parseAddress } from '../src/address.ts';
import { encodeGreeting, HELLO_BYTES } from '../src/framing/opening.ts';
import {
  addressKinds,
  Destination,
  dialOwned,
  expectDialFails,
  expectLinked,
  expectNoLeak,
  newPath,
  rawServer,
  readBytes,
} from './openings.ts';
import { Inbox, LIMIT_MILLIS, within } from './resources.ts';

/** Longer than any test: what ends earlier was ended by something else. */
const NEVER_MILLIS = 10 * LIMIT_MILLIS;
const loopback = parseAddress('tcp:127.0.0.1:0');

describe('time is up', () => {
  test.each(addressKinds)('before a silent listener speaks, over %s', async (_kind, address) => {
    const expectAllClosed = expectNoLeak();
    const server = await rawServer(address(), () => undefined);
    const start = performance.now();
    await expectDialFails(server.address, { timeoutMillis: 100 }, 'ERR_TIMEOUT', 'within 100 ms');
    expect(performance.now() - start).toBeGreaterThan(95);
    await server.close();
    await expectAllClosed();
  });

  test('before a listener that greets has answered', async () => {
    const greeting = encodeGreeting({ versionMin: 1, versionMax: 1, nonce: new Uint8Array(16) });
    const server = await rawServer(loopback, (socket) => void socket.write(greeting));
    await expectDialFails(server.address, { timeoutMillis: 100 }, 'ERR_TIMEOUT');
  });

  test.each([
    ['tcp', () => ({ host: '127.0.0.1', port: 0 }), 'within 100 ms'],
    ['unix', () => ({ path: newPath('deaf.sock') }), 'its queue is full'],
  ])('before the connection is accepted, over %s', async (_kind, listen, why) => {
    const expectAllClosed = expectNoLeak();
    const deaf = await openDeafAddress(listen());
    await expectDialFails(deaf.address, { timeoutMillis: 100 }, 'ERR_TIMEOUT', why);
    await deaf.close();
    await expectAllClosed();
  });

  test('when there is none', async () => {
    const destination = await Destination.open(loopback);
    await expectDialFails(destination.address, { timeoutMillis: 0 }, 'ERR_TIMEOUT', 'no time');
  });
});

describe('who gives up is told at once,', () => {
  /** Dials with a signal, which `giveUp` gives up; nothing of it is left behind. */
  async function expectAborted(
    address: Address,
    giveUp: (controller: AbortController) => unknown,
  ): Promise<void> {
    const controller = new AbortController();
    const { signal } = controller;
    const failed = expectDialFails(address, { signal, timeoutMillis: NEVER_MILLIS }, 'ERR_ABORTED');
    await giveUp(controller);
    await failed;
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  }

  test('before anything was tried', async () => {
    const connected = new Inbox<Socket>('a connection');
    const server = await rawServer(loopback, connected.put);
    const signal = AbortSignal.abort();
    await expectDialFails(server.address, { signal }, 'ERR_ABORTED');
    await server.close();
    expect(connected.count).toBe(0);
  });

  test.each(addressKinds)('while connecting over %s', async (_kind, newAddress) => {
    const expectAllClosed = expectNoLeak();
    const server = await rawServer(newAddress(), () => undefined);
    await expectAborted(server.address, (controller) => controller.abort());
    await server.close();
    await expectAllClosed();
  });

  test('while nobody accepts the connection', async () => {
    const expectAllClosed = expectNoLeak();
    const deaf = await openDeafAddress({ host: '127.0.0.1', port: 0 });
    await expectAborted(deaf.address, async (controller) => {
      await setImmediate(); // now it is in the kernel's hands
      controller.abort();
    });
    await deaf.close();
    await expectAllClosed();
  });

  test('between connecting and opening', async () => {
    const server = await rawServer(loopback, () => undefined);
    await expectAborted(server.address, (controller) => {
      const { signal } = controller;
      const remove = signal.removeEventListener.bind(signal);
      vi.spyOn(signal, 'removeEventListener').mockImplementationOnce((...given) => {
        remove(...given);
        controller.abort(); // nobody listens to the signal here
      });
    });
  });

  test.each(addressKinds)('while waiting for the greeting over %s', async (_kind, newAddress) => {
    const expectAllClosed = expectNoLeak();
    const connected = new Inbox<Socket>('a connection');
    const server = await rawServer(newAddress(), connected.put);
    await expectAborted(server.address, async (controller) => {
      await connected.take();
      controller.abort();
    });
    await server.close();
    await expectAllClosed();
  });

  test('while waiting for the answer', async () => {
    const expectAllClosed = expectNoLeak();
    const greeting = encodeGreeting({ versionMin: 1, versionMax: 1, nonce: new Uint8Array(16) });
    const greeted = new Inbox<Buffer>('a hello');
    const server = await rawServer(loopback, (socket) => {
      socket.write(greeting);
      void readBytes(socket, HELLO_BYTES).then(greeted.put);
    });
    await expectAborted(server.address, async (controller) => {
      await greeted.take();
      controller.abort();
    });
    await server.close();
    await expectAllClosed();
  });

  test('and not any more once the channel is open', async () => {
    const destination = await Destination.open(loopback);
    const controller = new AbortController();
    const near = await dialOwned(destination.address, { signal: controller.signal });
    const { channel: far } = await destination.channels.take();
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
    controller.abort();
    await expectLinked(near, far);
  });
});

/** Listens, and takes nothing off its queue: the kernel answers two connections and no more. */
const DEAF = `
  const { createServer } = require('node:net');
  const { parentPort, workerData } = require('node:worker_threads');
  const server = createServer().listen({ ...workerData.listen, backlog: 1 }, () => {
    parentPort.postMessage(server.address().port);
    Atomics.wait(new Int32Array(workerData.flag), 0, 0);
    server.close();
  });
`;

async function openDeafAddress(
  listen: { host: string; port: number } | { path: string },
): Promise<{ address: Address; close: () => Promise<void> }> {
  const flag = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(DEAF, { eval: true, workerData: { flag: flag.buffer, listen } });
  const exit = once(worker, 'exit');
  const [port] = (await within('a port', once(worker, 'message'))) as [number];
  const target = 'path' in listen ? listen : { ...listen, port };
  const fillers = Array.from({ length: 4 }, () => {
    const socket = connect(target);
    return socket.on('error', () => undefined);
  });
  const close = async (): Promise<void> => {
    for (const socket of fillers) socket.destroy();
    Atomics.store(flag, 0, 1);
    Atomics.notify(flag, 0);
    await within('the end of a thread', exit);
  };
  onTestFinished(close);
  const address =
    'path' in target
      ? ({ type: 'unix', ...target } as const)
      : ({ type: 'tcp', ...target } as const);
  return { address, close };
}
