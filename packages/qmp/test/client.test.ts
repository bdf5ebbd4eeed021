import { once } from 'node:events';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { QmpClient } from '../src/client.ts';
import type { CommandTable } from '../src/command-table.ts';
import { QmpError } from '../src/errors.ts';
import { EVENT_LOG_LENGTH_MAX } from '../src/event-log.ts';
import type { QmpEvent } from '../src/messages.ts';
import { QmpServer } from '../src/server.ts';
import { failureOf } from './failure-of.ts';
import { useSocketPath } from './socket-path.ts';

/** For what must happen; what must not is tested by its opposite. */
const LIMIT = { timeoutMillis: 5_000 };
const socketPath = useSocketPath();

let server: QmpServer;
let address: string;
let release: (() => void)[];

const commands: CommandTable = {
  echo: { arguments: { value: { type: 'any' } }, run: (args) => args['value'] },
  hold: { run: () => new Promise<void>((resolve) => release.push(resolve)) },
  overtake: { oob: true, run: () => 'overtaken' },
  missing: {
    run() {
      throw new QmpError('DeviceNotFound', 'no such thing');
    },
  },
  announce: {
    arguments: { names: { type: 'list', of: { type: 'str' } } },
    run(args, context) {
      for (const name of args['names'] as string[]) context.server.emit(name);
    },
  },
};

beforeEach(async () => {
  release = [];
  server = new QmpServer({ commands });
  address = await server.listen(`unix:${socketPath.path}`);
});

afterEach(async () => {
  for (const letGo of release) letGo();
  await server.close();
});

const named = (name: string) => (event: QmpEvent) => event.event === name;

test('a command returns what the server returns', async () => {
  for (const where of [address, await server.listen('tcp:127.0.0.1:0')]) {
    await using client = await QmpClient.connect(where);
    expect(client.greeting.QMP.version.package).toBe('godwit 0.1.0');
    const value = { text: '€', list: [1, null, { deep: true }] };
    expect(await client.execute('echo', { value })).toEqual(value);
  }
});

test('an error of the server is a QmpError with its class', async () => {
  await using client = await QmpClient.connect(address);
  const failure = client.execute('missing');
  await expect(failure).rejects.toBeInstanceOf(QmpError);
  await expect(failure).rejects.toMatchObject({ class: 'DeviceNotFound', desc: 'no such thing' });
});

test('calls overlap and each gets its own reply', async () => {
  await using client = await QmpClient.connect(address);
  const values = Array.from({ length: 100 }, (_, index) => index);
  const replies = values.map((value) => client.execute('echo', { value }));
  expect(await Promise.all(replies)).toEqual(values);
});

test('an out-of-band call passes one that hangs', async () => {
  await using client = await QmpClient.connect(address, { oob: true });
  const held = client.execute('hold');
  expect(await client.execute('overtake', undefined, { oob: true })).toBe('overtaken');
  release.shift()?.();
  expect(await held).toEqual({});
});

test('an out-of-band call without negotiation is refused by the server', async () => {
  await using client = await QmpClient.connect(address);
  await expect(client.execute('overtake', {}, { oob: true })).rejects.toMatchObject({
    desc: "QMP input member 'exec-oob' is unexpected",
  });
});

test('a call that takes too long is given up, and its late reply disturbs nobody', async () => {
  await using client = await QmpClient.connect(address);
  await expect(client.execute('hold', {}, { timeoutMillis: 10 })).rejects.toMatchObject({
    code: 'ERR_TIMEOUT',
    message: `no reply to hold from ${address} within 10 ms`,
  });
  const next = client.execute('echo', { value: 'mine' });
  release.shift()?.();
  expect(await next).toBe('mine');
});

test('a signal gives up a call with its own reason', async () => {
  await using client = await QmpClient.connect(address);
  const reason = new Error('not needed any more');
  const giveUp = new AbortController();
  const held = client.execute('hold', {}, { signal: giveUp.signal });
  giveUp.abort(reason);
  await expect(held).rejects.toBe(reason);
  await expect(client.execute('echo', { value: 1 }, { signal: giveUp.signal })).rejects.toBe(
    reason,
  );
  await expect(QmpClient.connect(address, { signal: giveUp.signal })).rejects.toBe(reason);
});

test('close rejects what is under way and everything after', async () => {
  const client = await QmpClient.connect(address);
  const held = client.execute('hold');
  const waited = client.waitForEvent(() => true);
  const closed = Promise.allSettled([held, waited]);
  await client.close();
  expect(await closed).toMatchObject([
    { reason: { code: 'ERR_CLOSED' } },
    { reason: { code: 'ERR_CLOSED' } },
  ]);
  await expect(client.execute('echo', { value: 1 })).rejects.toMatchObject({
    code: 'ERR_CLOSED',
  });
});

test('a server that goes rejects what is under way, and says so once', async () => {
  await using client = await QmpClient.connect(address);
  const held = client.execute('hold');
  const lost = failureOf(held);
  const told = once(client, 'close');
  await server.close();
  expect(await lost).toMatchObject({
    code: 'ERR_LOST',
    message: `${address} has closed the connection`,
  });
  expect(await told).toMatchObject([{ code: 'ERR_LOST' }]);
});

test('an event that came before the wait began is found', async () => {
  await using client = await QmpClient.connect(address);
  await client.execute('announce', { names: ['A', 'B'] });
  expect(await client.waitForEvent(named('A'), LIMIT)).toMatchObject({ event: 'A' });
  expect(await client.waitForEvent(named('B'), LIMIT)).toMatchObject({ event: 'B' });
});

test('an event is waited for until it comes', async () => {
  await using client = await QmpClient.connect(address);
  const waited = client.waitForEvent(named('LATER'), LIMIT);
  await client.execute('announce', { names: ['OTHER', 'LATER'] });
  expect(await waited).toMatchObject({ event: 'LATER' });
});

test('an event is found once, unless the wait goes back', async () => {
  await using client = await QmpClient.connect(address);
  const since = client.eventCursor;
  await client.execute('announce', { names: ['A', 'B'] });
  await client.waitForEvent(named('B'), LIMIT);
  await expect(client.waitForEvent(named('A'), { timeoutMillis: 10 })).rejects.toMatchObject({
    code: 'ERR_TIMEOUT',
  });
  expect(await client.waitForEvent(named('A'), { since, ...LIMIT })).toMatchObject({
    event: 'A',
  });
});

test('a wait for an event ends with its signal, and with what the predicate throws', async () => {
  await using client = await QmpClient.connect(address);
  const giveUp = new AbortController();
  const waited = client.waitForEvent(named('NEVER'), { signal: giveUp.signal });
  giveUp.abort(new Error('enough'));
  await expect(waited).rejects.toThrow('enough');
  const failing = client.waitForEvent(() => {
    throw new Error('bad predicate');
  });
  const failed = failureOf(failing);
  await client.execute('announce', { names: ['A'] });
  expect(await failed).toHaveProperty('message', 'bad predicate');
  expect(await client.execute('echo', { value: 1 })).toBe(1);
});

test('events can be iterated and listened to, from where they were asked for', async () => {
  await using client = await QmpClient.connect(address);
  await client.execute('announce', { names: ['EARLIER'] });
  const { events } = client;
  const heard: string[] = [];
  client.on('event', (event) => heard.push(event.event));
  await client.execute('announce', { names: ['A', 'B'] });
  const read: string[] = [];
  for await (const event of events) {
    read.push(event.event);
    if (event.event === 'B') break;
  }
  expect(read).toEqual(['A', 'B']);
  expect(heard).toEqual(['A', 'B']);
});

test('the iteration of events ends with close, and fails with a lost connection', async () => {
  const closing = await QmpClient.connect(address);
  await using losing = await QmpClient.connect(address);
  const ended = namesOf(closing.events);
  const failed = failureOf(namesOf(losing.events));
  await closing.close();
  expect(await ended).toEqual([]);
  await server.close();
  expect(await failed).toMatchObject({
    code: 'ERR_LOST',
  });
});

test('a reader of events that is too slow is told what it has missed', async () => {
  await using client = await QmpClient.connect(address);
  const since = client.eventCursor;
  const names = Array.from({ length: EVENT_LOG_LENGTH_MAX + 1 }, (_, index) => `E${index}`);
  const { events } = client;
  await client.execute('announce', { names });
  await expect(namesOf(events)).rejects.toMatchObject({ code: 'ERR_EVENTS_DROPPED' });
  await expect(client.waitForEvent(named('E0'), { since })).rejects.toMatchObject({
    code: 'ERR_EVENTS_DROPPED',
  });
  expect(await client.waitForEvent(() => true, LIMIT)).toMatchObject({ event: 'E1' });
});

async function namesOf(events: AsyncIterable<QmpEvent>): Promise<string[]> {
  const names: string[] = [];
  for await (const event of events) names.push(event.event);
  return names;
}
