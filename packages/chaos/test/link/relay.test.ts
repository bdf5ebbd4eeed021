import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { formatAddress, parseAddress } from '@godwit/transport';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { Relay } from '../../src/link/relay.ts';

describe.each(['unix', 'tcp'] as const)('a relay over %s', (transport) => {
  let directory: string;
  let server: Server;
  let target: string;
  let relay: Relay;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'relay-'));
    server = createServer({ allowHalfOpen: true });
    const path = join(directory, 'target');
    server.listen(transport === 'unix' ? { path } : { host: '127.0.0.1', port: 0 });
    await once(server, 'listening');
    const bound = server.address();
    target = formatAddress(
      bound === null || typeof bound === 'string'
        ? { type: 'unix', path }
        : { type: 'tcp', host: '127.0.0.1', port: bound.port },
    );
    relay = await Relay.open(target, uriFor('wire'));
  });

  afterEach(async () => {
    await relay[Symbol.asyncDispose]();
    server.close();
    await rm(directory, { recursive: true });
  });

  function uriFor(name: string): string {
    return transport === 'unix' ? `unix:${join(directory, name)}` : 'tcp:127.0.0.1:0';
  }

  /** @returns both ends of a connection through the relay. */
  async function connectThrough(): Promise<[near: Socket, far: Socket]> {
    const address = parseAddress(relay.uri);
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const near =
      address.type === 'unix'
        ? connect({ path: address.path, allowHalfOpen: true })
        : connect({ host: address.host, port: address.port, allowHalfOpen: true });
    const [far] = await accepted;
    for (const socket of [near, far]) socket.on('error', () => undefined);
    return [near, far];
  }

  test('carries both directions, also after one of them has ended', async () => {
    const [near, far] = await connectThrough();
    near.end('there');
    expect(String(await collect(far))).toBe('there');
    far.end('and back');
    expect(String(await collect(near))).toBe('and back');
  });

  test('keeps connections apart', async () => {
    const first = await connectThrough();
    const second = await connectThrough();
    first[0].end('first');
    second[0].end('second');
    expect([String(await collect(first[1])), String(await collect(second[1]))]).toEqual([
      'first',
      'second',
    ]);
    first[1].end();
    second[1].end();
  });

  test('loses every connection at a cut and takes no new one', async () => {
    const ends = [...(await connectThrough()), ...(await connectThrough())];
    const closed = ends.map((socket) => once(socket.resume(), 'end'));
    const { uri } = relay;
    relay.cut();
    await Promise.all(closed);
    for (const socket of ends) socket.destroy();
    const address = parseAddress(uri);
    const late = address.type === 'unix' ? connect(address.path) : connect(address.port);
    await expect(once(late, 'connect')).rejects.toThrow(/ECONNREFUSED|ENOENT/);
  });

  test('falls silent one way, and tells nobody', async () => {
    const [near, far] = await connectThrough();
    const heard: unknown[] = [];
    far.on('data', (chunk) => heard.push(chunk)).on('end', () => heard.push('end'));
    relay.silence('there');
    near.end('there');
    // By the time that a later connection has carried something, this one would have as well.
    const [later, itsFar] = await connectThrough();
    later.end('later');
    expect(String(await collect(itsFar))).toBe('later');
    itsFar.end();
    far.end('and back');
    expect(String(await collect(near))).toBe('and back');
    expect(heard).toEqual([]);
  });

  test('tells what passes', async () => {
    const [near, far] = await connectThrough();
    const passed: Buffer[] = [];
    relay.onData = (chunk) => passed.push(chunk);
    near.end('there');
    await collect(far);
    far.end('and back');
    await collect(near);
    expect(String(Buffer.concat(passed))).toBe('thereand back');
  });

  test('leaves no socket file behind', async () => {
    await connectThrough();
    await relay[Symbol.asyncDispose]();
    expect(await readdir(directory)).toEqual(transport === 'unix' ? ['target'] : []);
  });

  test('passes it on when the destination is not there', async () => {
    server.close();
    await once(server, 'close');
    const address = parseAddress(relay.uri);
    const near = address.type === 'unix' ? connect(address.path) : connect(address.port);
    const received: unknown[] = [];
    near.on('error', () => undefined).on('data', (chunk) => received.push(chunk));
    await once(near, 'close');
    expect(received).toEqual([]);
  });
});

async function collect(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    chunks.push(chunk as Buffer); // a socket without an encoding yields buffers
  }
  return Buffer.concat(chunks);
}
