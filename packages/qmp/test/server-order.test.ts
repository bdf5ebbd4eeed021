import { expect, test } from 'vitest';
import { OOB_RUNNING_MAX, PENDING_BYTES_MAX } from '../src/connection.ts';
import { RawClient } from './raw-client.ts';
import { useServer } from './server-fixture.ts';

const it = useServer();

test('an out-of-band command overtakes the one under way and those that wait', async () => {
  await using client = await new RawClient(it.address).negotiate('oob');
  client.send({ execute: 'hold', id: 1 }, { execute: 'note', arguments: { text: 'a' }, id: 2 });
  client.send({ 'exec-oob': 'overtake', id: 3 });
  expect(await client.message()).toEqual({ return: 'overtaken', id: 3 });
  it.release.shift()?.();
  expect(await client.messages(2)).toEqual([
    { return: {}, id: 1 },
    { return: { noted: 'a' }, id: 2 },
  ]);
});

test('a client that comes while a command hangs can negotiate and send one out of band', async () => {
  await using first = await new RawClient(it.address).negotiate();
  first.send({ execute: 'hold' });
  await using second = await new RawClient(it.address).negotiate('oob');
  second.send({ execute: 'note', arguments: { text: 'waits' } }, { 'exec-oob': 'overtake' });
  expect(await second.message()).toEqual({ return: 'overtaken' });
  expect(it.done).toEqual(['1:hold']);
});

test('commands of several clients never overlap, and the clients take turns', async () => {
  await using first = await new RawClient(it.address).negotiate();
  await using second = await new RawClient(it.address).negotiate('oob');
  first.send({ execute: 'hold' });
  for (const text of ['a', 'b', 'c']) first.send({ execute: 'note', arguments: { text } });
  for (const text of ['x', 'y']) second.send({ execute: 'note', arguments: { text } });
  // Read after the notes, so those of the second client wait by now.
  second.send({ 'exec-oob': 'overtake' });
  await second.message();
  it.release.shift()?.();
  await Promise.all([first.messages(4), second.messages(2)]);
  expect(it.done).toEqual(['1:hold', '1:released', '2:x', '1:a', '2:y', '1:b', '1:c']);
});

test('a client with eight commands waiting is not read from until one is taken', async () => {
  await using client = await new RawClient(it.address).negotiate('oob');
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
  await using other = await new RawClient(it.address).negotiate('oob');
  other.send({ 'exec-oob': 'overtake' });
  await other.message();
  it.release.shift()?.();
  expect(await message).toEqual({ return: {} });
  // One was taken: there is room to read on, and the out-of-band command overtakes the rest.
  expect(await client.message()).toEqual({ return: 'overtaken' });
  it.release.shift()?.();
  expect(await client.messages(8)).toHaveLength(8);
});

/** What a client sends last is not taken in before the oldest command is let go. */
async function expectNotReadFrom(client: RawClient): Promise<void> {
  client.send({ 'exec-oob': 'overtake', id: 'last' });
  const message = client.message();
  // The other client's turn proves that the server has gone on reading meanwhile.
  await using other = await new RawClient(it.address).negotiate('oob');
  other.send({ 'exec-oob': 'overtake' });
  await other.message();
  it.release.shift()?.();
  expect(await message).not.toHaveProperty('id', 'last');
}

test('a client with long commands waiting is not read from, however few they are', async () => {
  await using client = await new RawClient(it.address).negotiate('oob');
  const text = 'x'.repeat(PENDING_BYTES_MAX);
  client.send({ execute: 'hold' }, { execute: 'note', arguments: { text } });
  await expectNotReadFrom(client);
  expect(await client.messages(2)).toContainEqual({ return: 'overtaken', id: 'last' });
});

test('a long command that runs is not followed by another before it is answered', async () => {
  await using client = await new RawClient(it.address).negotiate('oob');
  client.send({ execute: 'hold', id: 'x'.repeat(PENDING_BYTES_MAX) });
  await expectNotReadFrom(client);
  expect(await client.message()).toEqual({ return: 'overtaken', id: 'last' });
});

test('a client with eight commands out of band under way is not read from', async () => {
  await using client = await new RawClient(it.address).negotiate('oob');
  for (let index = 0; index < OOB_RUNNING_MAX; index += 1) client.send({ 'exec-oob': 'linger' });
  await expectNotReadFrom(client);
  expect(await client.message()).toEqual({ return: 'overtaken', id: 'last' });
});

test('commands of a client that is gone are carried out all the same', async () => {
  const client = await new RawClient(it.address).negotiate('oob');
  client.send({ execute: 'hold' }, { execute: 'note', arguments: { text: 'left behind' } });
  client.send({ 'exec-oob': 'overtake' });
  await client.message();
  await client[Symbol.asyncDispose]();
  it.release.shift()?.();
  await using other = await new RawClient(it.address).negotiate();
  other.send({ execute: 'note', arguments: { text: 'later' } });
  await other.message();
  expect(it.done).toEqual(['1:hold', '1:released', '1:left behind', '2:later']);
});

test('close waits for the command under way and drops those that wait', async () => {
  await using client = await new RawClient(it.address).negotiate('oob');
  client.send({ execute: 'hold' }, { execute: 'note', arguments: { text: 'dropped' } });
  client.send({ 'exec-oob': 'overtake' });
  await client.message();
  const closed = it.server.close();
  it.release.shift()?.();
  expect(await client.message()).toEqual({ return: {} });
  await client.closed();
  await closed;
  expect(it.done).toEqual(['1:hold', '1:released']);
});
