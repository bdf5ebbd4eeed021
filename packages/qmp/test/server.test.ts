import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { type CommandTable, defineCommand } from '../src/command-table.ts';
import { OOB_RUNNING_MAX, OUTPUT_BYTES_MAX, PENDING_BYTES_MAX } from '../src/connection.ts';
import { QmpError } from '../src/errors.ts';
import { QmpServer } from '../src/server.ts';
import { RawClient } from './raw-client.ts';

let directory: string;
let address: string;
let server: QmpServer;
/** What the commands have done, in order. */
let done: string[];
/** Lets the oldest `hold` command return. */
let release: (() => void)[];

const greeting = {
  QMP: {
    version: { qemu: { micro: 0, minor: 0, major: 10 }, package: 'godwit 0.1.0' },
    capabilities: ['oob'],
  },
};

const commands: CommandTable = {
  note: defineCommand({
    arguments: { text: { type: 'str' } },
    run(args, { client }) {
      done.push(`${client.id}:${args.text}`);
      return { noted: args.text };
    },
  }),
  hold: {
    async run(_, { client }) {
      done.push(`${client.id}:hold`);
      await new Promise<void>((resolve) => release.push(resolve));
      done.push(`${client.id}:released`);
    },
  },
  overtake: { oob: true, run: () => 'overtaken' },
  linger: {
    oob: true,
    run: () => new Promise<void>((resolve) => release.push(resolve)),
  },
  fail: {
    run() {
      throw new Error('the world is at fault');
    },
  },
  missing: {
    run() {
      throw new QmpError('DeviceNotFound', "Device 'x' not found");
    },
  },
  unspeakable: { run: () => 1n },
  blob: { run: () => 'x'.repeat(2 * OUTPUT_BYTES_MAX) },
  announce: {
    run(_, context) {
      context.server.emit('ANNOUNCED', { by: context.client.id });
    },
  },
  quit: {
    run(_, context) {
      void context.server.close();
    },
  },
};

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'qmp-server-'));
  done = [];
  release = [];
  server = new QmpServer({ commands });
  address = await server.listen(`unix:${join(directory, 'qmp')}`);
});

afterEach(async () => {
  for (const letGo of release) letGo();
  await server.close();
  await rm(directory, { recursive: true });
});

test('the greeting and a reply are the lines QEMU would send', async () => {
  await using client = new RawClient(address);
  expect(await client.line()).toBe(
    '{"QMP":{"version":{"qemu":{"micro":0,"minor":0,"major":10},"package":"godwit 0.1.0"},"capabilities":["oob"]}}\r\n',
  );
  client.send('{"execute":"qmp_capabilities","id":{"a":[1]}}');
  expect(await client.line()).toBe('{"return":{},"id":{"a":[1]}}\r\n');
});

test('nothing but qmp_capabilities is taken before the negotiation', async () => {
  await using client = new RawClient(address);
  client.send({ execute: 'note', arguments: { text: 'early' }, id: 1 });
  client.send({ 'exec-oob': 'overtake' });
  expect(await client.messages(3)).toEqual([
    greeting,
    {
      error: {
        class: 'CommandNotFound',
        desc: "Expecting capabilities negotiation with 'qmp_capabilities'",
      },
      id: 1,
    },
    { error: { class: 'GenericError', desc: "QMP input member 'exec-oob' is unexpected" } },
  ]);
  expect(done).toEqual([]);
});

test('a capability that does not exist is refused, and the client may try again', async () => {
  await using client = new RawClient(address);
  client.send({ execute: 'qmp_capabilities', arguments: { enable: ['oob', 'more'] } });
  client.send({ execute: 'qmp_capabilities' }, { execute: 'qmp_capabilities' });
  expect(await client.messages(4)).toEqual([
    greeting,
    {
      error: {
        class: 'GenericError',
        desc: "Parameter 'enable[1]' does not accept value 'more'",
      },
    },
    { return: {} },
    {
      error: {
        class: 'CommandNotFound',
        desc: 'Capabilities negotiation is already complete, command ignored',
      },
    },
  ]);
});

test('the built-in commands tell the version and every command', async () => {
  await using client = await new RawClient(address).negotiate();
  client.send({ execute: 'query-version' }, { execute: 'query-commands' });
  const [version, names] = await client.messages(2);
  expect(version).toEqual({ return: greeting.QMP.version });
  expect(names).toEqual({
    return: [
      'qmp_capabilities',
      'query-version',
      'query-commands',
      'query-qmp-schema',
      ...Object.keys(commands),
    ].map((name) => ({ name })),
  });
});

test.each([
  [5, 'GenericError', 'QMP input must be a JSON object'],
  [{}, 'GenericError', "QMP input lacks member 'execute'"],
  [{ execute: 1 }, 'GenericError', "QMP input member 'execute' must be a string"],
  [
    { execute: 'note', arguments: [] },
    'GenericError',
    "QMP input member 'arguments' must be an object",
  ],
  [{ execute: 'note', argument: {} }, 'GenericError', "QMP input member 'argument' is unexpected"],
  [
    { execute: 'overtake', 'exec-oob': 'overtake' },
    'GenericError',
    "QMP input member 'exec-oob' clashes with 'execute'",
  ],
  [{ execute: 'foo' }, 'CommandNotFound', 'The command foo has not been found'],
  [{ execute: 'toString' }, 'CommandNotFound', 'The command toString has not been found'],
  [{ 'exec-oob': 'note' }, 'GenericError', 'The command note does not support OOB'],
  [{ execute: 'note' }, 'GenericError', "Parameter 'text' is missing"],
  [{ execute: 'fail', arguments: { a: 1 } }, 'GenericError', "Parameter 'a' is unexpected"],
  [{ execute: 'fail' }, 'GenericError', 'the world is at fault'],
  [{ execute: 'missing' }, 'DeviceNotFound', "Device 'x' not found"],
  [{ execute: 'unspeakable' }, 'GenericError', 'Do not know how to serialize a BigInt'],
] as const)(
  '%j is answered with its error, and the next command is run',
  async (input, errorClass, desc) => {
    await using client = await new RawClient(address).negotiate('oob');
    client.send(`${JSON.stringify(input)}\n`, { execute: 'note', arguments: { text: 'next' } });
    expect(await client.messages(2)).toEqual([
      { error: { class: errorClass, desc } },
      { return: { noted: 'next' } },
    ]);
  },
);

test('exec-oob is unknown to a client that has not enabled it', async () => {
  await using client = await new RawClient(address).negotiate();
  client.send({ 'exec-oob': 'overtake', id: 'x' });
  expect(await client.message()).toEqual({
    error: { class: 'GenericError', desc: "QMP input member 'exec-oob' is unexpected" },
    id: 'x',
  });
});

test('an out-of-band command overtakes the one under way and those that wait', async () => {
  await using client = await new RawClient(address).negotiate('oob');
  client.send({ execute: 'hold', id: 1 }, { execute: 'note', arguments: { text: 'a' }, id: 2 });
  client.send({ 'exec-oob': 'overtake', id: 3 });
  expect(await client.message()).toEqual({ return: 'overtaken', id: 3 });
  release.shift()?.();
  expect(await client.messages(2)).toEqual([
    { return: {}, id: 1 },
    { return: { noted: 'a' }, id: 2 },
  ]);
});

test('a client that comes while a command hangs can negotiate and send one out of band', async () => {
  await using first = await new RawClient(address).negotiate();
  first.send({ execute: 'hold' });
  await using second = await new RawClient(address).negotiate('oob');
  second.send({ execute: 'note', arguments: { text: 'waits' } }, { 'exec-oob': 'overtake' });
  expect(await second.message()).toEqual({ return: 'overtaken' });
  expect(done).toEqual(['1:hold']);
});

test('commands of several clients never overlap, and the clients take turns', async () => {
  await using first = await new RawClient(address).negotiate();
  await using second = await new RawClient(address).negotiate('oob');
  first.send({ execute: 'hold' });
  for (const text of ['a', 'b', 'c']) first.send({ execute: 'note', arguments: { text } });
  for (const text of ['x', 'y']) second.send({ execute: 'note', arguments: { text } });
  // Read after the notes, so those of the second client wait by now.
  second.send({ 'exec-oob': 'overtake' });
  await second.message();
  release.shift()?.();
  await Promise.all([first.messages(4), second.messages(2)]);
  expect(done).toEqual(['1:hold', '1:released', '2:x', '1:a', '2:y', '1:b', '1:c']);
});

test('a client with eight commands waiting is not read from until one is taken', async () => {
  await using client = await new RawClient(address).negotiate('oob');
  client.send({ execute: 'hold' });
  for (let index = 0; index < 8; index += 1) {
    client.send({
      execute: index === 0 ? 'hold' : 'note',
      arguments: index === 0 ? {} : { text: '' },
    });
  }
  client.send({ 'exec-oob': 'overtake' });
  const message = client.message();
  // The other client's turn proves that the server has gone on reading meanwhile.
  await using other = await new RawClient(address).negotiate('oob');
  other.send({ 'exec-oob': 'overtake' });
  await other.message();
  release.shift()?.();
  expect(await message).toEqual({ return: {} });
  // One was taken: there is room to read on, and the out-of-band command overtakes the rest.
  expect(await client.message()).toEqual({ return: 'overtaken' });
  release.shift()?.();
  expect(await client.messages(8)).toHaveLength(8);
});

/** What a client sends last is not taken in before the oldest command is let go. */
async function expectNotReadFrom(client: RawClient): Promise<void> {
  client.send({ 'exec-oob': 'overtake', id: 'last' });
  const message = client.message();
  // The other client's turn proves that the server has gone on reading meanwhile.
  await using other = await new RawClient(address).negotiate('oob');
  other.send({ 'exec-oob': 'overtake' });
  await other.message();
  release.shift()?.();
  expect(await message).not.toHaveProperty('id', 'last');
}

test('a client with long commands waiting is not read from, however few they are', async () => {
  await using client = await new RawClient(address).negotiate('oob');
  const text = 'x'.repeat(PENDING_BYTES_MAX);
  client.send({ execute: 'hold' }, { execute: 'note', arguments: { text } });
  await expectNotReadFrom(client);
  expect(await client.messages(2)).toContainEqual({ return: 'overtaken', id: 'last' });
});

test('a long command that runs is not followed by another before it is answered', async () => {
  await using client = await new RawClient(address).negotiate('oob');
  client.send({ execute: 'hold', id: 'x'.repeat(PENDING_BYTES_MAX) });
  await expectNotReadFrom(client);
  expect(await client.message()).toEqual({ return: 'overtaken', id: 'last' });
});

test('a client with eight commands out of band under way is not read from', async () => {
  await using client = await new RawClient(address).negotiate('oob');
  for (let index = 0; index < OOB_RUNNING_MAX; index += 1) client.send({ 'exec-oob': 'linger' });
  await expectNotReadFrom(client);
  expect(await client.message()).toEqual({ return: 'overtaken', id: 'last' });
});

test('malformed input is answered in its place, and reading goes on at the next line', async () => {
  await using client = await new RawClient(address).negotiate();
  client.send({ execute: 'note', arguments: { text: 'a' } }, '{"execute": nonsense}\n');
  client.send({ execute: 'note', arguments: { text: 'b' } });
  expect(await client.messages(3)).toEqual([
    { return: { noted: 'a' } },
    { error: { class: 'GenericError', desc: expect.stringContaining('JSON parse error, ') } },
    { return: { noted: 'b' } },
  ]);
});

test('a value without end is answered with an error and the connection is closed', async () => {
  await using client = await new RawClient(address).negotiate();
  client.send(`{"execute": "${'x'.repeat(1024 * 1024)}`);
  expect(await client.message()).toEqual({
    error: { class: 'GenericError', desc: 'JSON value is longer than 1048576 bytes' },
  });
  await client.closed();
});

test('a browser that posts commands to a tcp port is cut off at its first line', async () => {
  await using client = new RawClient(await server.listen('tcp:127.0.0.1:0'));
  client.send('POST / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  client.send({ execute: 'qmp_capabilities' }, { execute: 'note', arguments: { text: 'evil' } });
  expect(await client.messages(2)).toEqual([
    greeting,
    { error: { class: 'GenericError', desc: expect.stringContaining('JSON parse error') } },
  ]);
  await client.closed();
  expect(done).toEqual([]);
});

test('a client that closes its sending side still gets all its replies', async () => {
  await using client = new RawClient(address);
  client.send({ execute: 'qmp_capabilities' });
  for (let index = 0; index < 20; index += 1) {
    client.send({ execute: 'note', arguments: { text: `${index}` } });
  }
  client.socket.end();
  const messages = await client.messages(22);
  expect(messages.at(-1)).toEqual({ return: { noted: '19' } });
  await client.closed();
});

test('commands of a client that is gone are carried out all the same', async () => {
  const client = await new RawClient(address).negotiate('oob');
  client.send({ execute: 'hold' }, { execute: 'note', arguments: { text: 'left behind' } });
  client.send({ 'exec-oob': 'overtake' });
  await client.message();
  await client[Symbol.asyncDispose]();
  release.shift()?.();
  await using other = await new RawClient(address).negotiate();
  other.send({ execute: 'note', arguments: { text: 'later' } });
  await other.message();
  expect(done).toEqual(['1:hold', '1:released', '1:left behind', '2:later']);
});

test('an event goes to every client that has negotiated, with the time', async () => {
  await using first = await new RawClient(address).negotiate();
  await using second = await new RawClient(address).negotiate();
  await using silent = new RawClient(address);
  await silent.message();
  const before = Math.floor(Date.now() / 1000);
  server.emit('STOP');
  server.emit('MIGRATION', { status: 'active' });
  for (const client of [first, second]) {
    const [stop, migration] = await client.messages(2);
    expect(stop).toEqual({
      timestamp: { seconds: expect.any(Number), microseconds: expect.any(Number) },
      event: 'STOP',
    });
    expect(migration).toMatchObject({ event: 'MIGRATION', data: { status: 'active' } });
    const { seconds, microseconds } = (stop as { timestamp: Record<string, number> }).timestamp;
    expect(seconds).toBeGreaterThanOrEqual(before);
    expect(microseconds).toBeLessThan(1_000_000);
  }
  silent.send({ execute: 'qmp_capabilities' });
  expect(await silent.message()).toEqual({ return: {} });
});

test('an event may be meant for some clients', async () => {
  await using first = await new RawClient(address).negotiate();
  await using second = await new RawClient(address).negotiate();
  server.emit('FIRST', undefined, (client) => client.id === 1);
  server.emit('ALL');
  expect(await first.messages(2)).toMatchObject([{ event: 'FIRST' }, { event: 'ALL' }]);
  expect(await second.message()).toMatchObject({ event: 'ALL' });
});

test('an event of a command comes before its reply', async () => {
  await using client = await new RawClient(address).negotiate();
  client.send({ execute: 'announce' });
  expect(await client.messages(2)).toMatchObject([
    { event: 'ANNOUNCED', data: { by: 1 } },
    { return: {} },
  ]);
});

test('a client that never reads is disconnected, the others are not', async () => {
  await using reader = await new RawClient(address).negotiate();
  await using sleeper = await new RawClient(address).negotiate();
  sleeper.socket.pause();
  const event = { padding: 'x'.repeat(256 * 1024) };
  // More than the limit and what the kernel buffers.
  for (let index = 0; index < 40; index += 1) {
    server.emit('NOISE', event);
    await reader.message();
  }
  sleeper.socket.resume();
  await sleeper.closed();
  reader.send({ execute: 'note', arguments: { text: 'still here' } });
  expect(await reader.message()).toEqual({ return: { noted: 'still here' } });
});

test('one reply longer than the limit reaches a client that reads', async () => {
  await using client = await new RawClient(address).negotiate();
  client.send({ execute: 'blob' });
  expect((await client.line()).length).toBeGreaterThan(2 * OUTPUT_BYTES_MAX);
});

test('quit is answered before the server goes', async () => {
  await using client = await new RawClient(address).negotiate();
  client.send({ execute: 'quit', id: 1 });
  expect(await client.message()).toEqual({ return: {}, id: 1 });
  await client.closed();
  await server.close();
  await expect(server.listen(address)).rejects.toMatchObject({ code: 'ERR_CLOSED' });
});

test('close waits for the command under way and drops those that wait', async () => {
  await using client = await new RawClient(address).negotiate('oob');
  client.send({ execute: 'hold' }, { execute: 'note', arguments: { text: 'dropped' } });
  client.send({ 'exec-oob': 'overtake' });
  await client.message();
  const closed = server.close();
  release.shift()?.();
  expect(await client.message()).toEqual({ return: {} });
  await client.closed();
  await closed;
  expect(done).toEqual(['1:hold', '1:released']);
});

test('close does not wait for ever for a command that hangs or a client that does not read', async () => {
  await using client = await new RawClient(address).negotiate();
  client.socket.pause();
  client.send({ execute: 'blob' }, { execute: 'hold' });
  await using watcher = await new RawClient(address).negotiate('oob');
  watcher.send({ 'exec-oob': 'overtake' });
  await watcher.message();
  await server.close();
  expect(done).toEqual(['1:hold']);
  await once(client.socket.resume(), 'close');
});
