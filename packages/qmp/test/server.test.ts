import { once } from 'node:events';
import { expect, test } from 'vitest';
import { OUTPUT_BYTES_MAX } from '../src/connection.ts';
import { RawClient } from './raw-client.ts';
import { useServer } from './server-fixture.ts';

const it = useServer();

const greeting = {
  QMP: {
    version: { qemu: { micro: 0, minor: 0, major: 10 }, package: 'godwit 0.1.0' },
    capabilities: ['oob'],
  },
};

test('the greeting and a reply are the lines QEMU would send', async () => {
  await using client = new RawClient(it.address);
  expect(await client.line()).toBe(
    '{"QMP":{"version":{"qemu":{"micro":0,"minor":0,"major":10},"package":"godwit 0.1.0"},"capabilities":["oob"]}}\r\n',
  );
  client.send('{"execute":"qmp_capabilities","id":{"a":[1]}}');
  expect(await client.line()).toBe('{"return":{},"id":{"a":[1]}}\r\n');
});

test('nothing but qmp_capabilities is taken before the negotiation', async () => {
  await using client = new RawClient(it.address);
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
  expect(it.done).toEqual([]);
});

test('a capability that does not exist is refused, and the client may try again', async () => {
  await using client = new RawClient(it.address);
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
  await using client = await new RawClient(it.address).negotiate();
  client.send({ execute: 'query-version' }, { execute: 'query-commands' });
  const [version, names] = await client.messages(2);
  expect(version).toEqual({ return: greeting.QMP.version });
  expect(names).toEqual({
    return: [
      'qmp_capabilities',
      'query-version',
      'query-commands',
      'query-qmp-schema',
      ...Object.keys(it.commands),
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
    await using client = await new RawClient(it.address).negotiate('oob');
    client.send(`${JSON.stringify(input)}\n`, { execute: 'note', arguments: { text: 'next' } });
    expect(await client.messages(2)).toEqual([
      { error: { class: errorClass, desc } },
      { return: { noted: 'next' } },
    ]);
  },
);

test('exec-oob is unknown to a client that has not enabled it', async () => {
  await using client = await new RawClient(it.address).negotiate();
  client.send({ 'exec-oob': 'overtake', id: 'x' });
  expect(await client.message()).toEqual({
    error: { class: 'GenericError', desc: "QMP input member 'exec-oob' is unexpected" },
    id: 'x',
  });
});

test('malformed input is answered in its place, and reading goes on at the next line', async () => {
  await using client = await new RawClient(it.address).negotiate();
  client.send({ execute: 'note', arguments: { text: 'a' } }, '{"execute": nonsense}\n');
  client.send({ execute: 'note', arguments: { text: 'b' } });
  expect(await client.messages(3)).toEqual([
    { return: { noted: 'a' } },
    { error: { class: 'GenericError', desc: expect.stringContaining('JSON parse error, ') } },
    { return: { noted: 'b' } },
  ]);
});

test('a value without end is answered with an error and the connection is closed', async () => {
  await using client = await new RawClient(it.address).negotiate();
  client.send(`{"execute": "${'x'.repeat(1024 * 1024)}`);
  expect(await client.message()).toEqual({
    error: { class: 'GenericError', desc: 'JSON value is longer than 1048576 bytes' },
  });
  await client.closed();
});

test('a browser that posts commands to a tcp port is cut off at its first line', async () => {
  await using client = new RawClient(await it.server.listen('tcp:127.0.0.1:0'));
  client.send('POST / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  client.send({ execute: 'qmp_capabilities' }, { execute: 'note', arguments: { text: 'evil' } });
  expect(await client.messages(2)).toEqual([
    greeting,
    { error: { class: 'GenericError', desc: expect.stringContaining('JSON parse error') } },
  ]);
  await client.closed();
  expect(it.done).toEqual([]);
});

test('a client that closes its sending side still gets all its replies', async () => {
  await using client = new RawClient(it.address);
  client.send({ execute: 'qmp_capabilities' });
  for (let index = 0; index < 20; index += 1) {
    client.send({ execute: 'note', arguments: { text: `${index}` } });
  }
  client.socket.end();
  const messages = await client.messages(22);
  expect(messages.at(-1)).toEqual({ return: { noted: '19' } });
  await client.closed();
});

test('an event goes to every client that has negotiated, with the time', async () => {
  await using first = await new RawClient(it.address).negotiate();
  await using second = await new RawClient(it.address).negotiate();
  await using silent = new RawClient(it.address);
  await silent.message();
  const before = Math.floor(Date.now() / 1000);
  it.server.emit('STOP');
  it.server.emit('MIGRATION', { status: 'active' });
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
  await using first = await new RawClient(it.address).negotiate();
  await using second = await new RawClient(it.address).negotiate();
  it.server.emit('FIRST', undefined, (client) => client.id === 1);
  it.server.emit('ALL');
  expect(await first.messages(2)).toMatchObject([{ event: 'FIRST' }, { event: 'ALL' }]);
  expect(await second.message()).toMatchObject({ event: 'ALL' });
});

test('an event of a command comes before its reply', async () => {
  await using client = await new RawClient(it.address).negotiate();
  client.send({ execute: 'announce' });
  expect(await client.messages(2)).toMatchObject([
    { event: 'ANNOUNCED', data: { by: 1 } },
    { return: {} },
  ]);
});

test('a client that never reads is disconnected, the others are not', async () => {
  await using reader = await new RawClient(it.address).negotiate();
  await using sleeper = await new RawClient(it.address).negotiate();
  sleeper.socket.pause();
  const event = { padding: 'x'.repeat(256 * 1024) };
  // More than the limit and what the kernel buffers.
  for (let index = 0; index < 40; index += 1) {
    it.server.emit('NOISE', event);
    await reader.message();
  }
  sleeper.socket.resume();
  await sleeper.closed();
  reader.send({ execute: 'note', arguments: { text: 'still here' } });
  expect(await reader.message()).toEqual({ return: { noted: 'still here' } });
});

test('one reply longer than the limit reaches a client that reads', async () => {
  await using client = await new RawClient(it.address).negotiate();
  client.send({ execute: 'blob' });
  expect((await client.line()).length).toBeGreaterThan(2 * OUTPUT_BYTES_MAX);
});

test('quit is answered before the server goes', async () => {
  await using client = await new RawClient(it.address).negotiate();
  client.send({ execute: 'quit', id: 1 });
  expect(await client.message()).toEqual({ return: {}, id: 1 });
  await client.closed();
  await it.server.close();
  await expect(it.server.listen(it.address)).rejects.toMatchObject({ code: 'ERR_CLOSED' });
});

test('close does not wait for ever for a command that hangs or a client that does not read', async () => {
  await using client = await new RawClient(it.address).negotiate();
  client.socket.pause();
  client.send({ execute: 'blob' }, { execute: 'hold' });
  await using watcher = await new RawClient(it.address).negotiate('oob');
  watcher.send({ 'exec-oob': 'overtake' });
  await watcher.message();
  await it.server.close();
  expect(it.done).toEqual(['1:hold']);
  await once(client.socket.resume(), 'close');
});
