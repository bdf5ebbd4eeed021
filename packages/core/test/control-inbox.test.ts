import { ChannelError, type ControlMessage } from '@godwit/transport';
import { expect, test } from 'vitest';
import { MigrationError } from '../src/errors.ts';
import { ControlInbox } from '../src/migration/control-inbox.ts';

const soon = { timeoutMillis: 10_000 };
const proof = { pages: 3, digest: new Uint8Array(32) };

test('what was said before it is expected is there, in order', async () => {
  const inbox = new ControlInbox();
  inbox.push({ t: 'started' });
  inbox.push({ t: 'loaded', ...proof });
  expect(await inbox.expect('started', soon)).toEqual({ t: 'started' });
  expect(await inbox.expect('loaded', soon)).toEqual({ t: 'loaded', ...proof });
});

test('whoever waits is told as soon as it is said', async () => {
  const inbox = new ControlInbox();
  const started = inbox.expect('started', soon);
  inbox.push({ t: 'started' });
  expect(await started).toEqual({ t: 'started' });
  const running = inbox.expect('running', soon);
  inbox.push({ t: 'running' });
  expect(await running).toEqual({ t: 'running' });
});

test('any other message than the expected one is a breach of the protocol, by both names', async () => {
  const inbox = new ControlInbox();
  inbox.push({ t: 'running' });
  const error = await inbox.expect('loaded', soon).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(ChannelError);
  expect(error).toMatchObject({
    code: 'ERR_PROTOCOL',
    message: "'running' where 'loaded' was expected",
  });
});

test("the destination's own failure and refusal say why", async () => {
  const messages: ControlMessage[] = [
    { t: 'failed', why: 'out of memory' },
    { t: 'refused', why: 'RAM differs' },
  ];
  for (const message of messages) {
    const inbox = new ControlInbox();
    inbox.push(message);
    const error = await inbox.expect('loaded', soon).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(MigrationError);
    expect(error).toMatchObject({
      code: 'ERR_PEER_FAILED',
      message: expect.stringMatching(/^the destination: (out of memory|RAM differs)$/),
    });
  }
});

test('a refusal that is expected is an answer like any other', async () => {
  const inbox = new ControlInbox();
  inbox.push({ t: 'refused', why: 'no' });
  expect(await inbox.expect('refused', soon)).toEqual({ t: 'refused', why: 'no' });
});

test('when the link ends whoever waits is told why, and whoever asks later too', async () => {
  const inbox = new ControlInbox();
  const wait = inbox.expect('loaded', soon);
  const why = new ChannelError('ERR_CLOSED', 'the link broke');
  inbox.fail(why);
  inbox.fail(new Error('a consequence'));
  await expect(wait).rejects.toBe(why);
  await expect(inbox.expect('running', soon)).rejects.toBe(why);
  await expect(inbox.complete).rejects.toBe(why);
});

test('what was said before the link ended is heard first', async () => {
  const inbox = new ControlInbox();
  inbox.push({ t: 'running' });
  inbox.fail(new Error('gone'));
  expect(await inbox.expect('running', soon)).toEqual({ t: 'running' });
  await expect(inbox.expect('finished', soon)).rejects.toThrow('gone');
});

test('"complete" is heard apart, whatever else is being said', async () => {
  const inbox = new ControlInbox();
  inbox.push({ t: 'complete', ...proof });
  inbox.push({ t: 'running' });
  inbox.fail(new Error('gone'));
  expect(await inbox.complete).toMatchObject(proof);
  expect(await inbox.expect('running', soon)).toEqual({ t: 'running' });
});

test('"switchover-ack" is heard apart, and that it was said stays known', async () => {
  const inbox = new ControlInbox();
  expect(inbox.hasSwitchoverAck).toBe(false);
  inbox.push({ t: 'flushed' });
  inbox.push({ t: 'switchover-ack' });
  expect(inbox.hasSwitchoverAck).toBe(true);
  await inbox.switchoverAck;
  expect(await inbox.expect('flushed', soon)).toEqual({ t: 'flushed' });
});

test('that the other side gives up is known also where nobody asks', () => {
  const inbox = new ControlInbox();
  inbox.push({ t: 'flushed' });
  expect(inbox.refusal).toBeUndefined();
  inbox.push({ t: 'failed', why: 'no room' });
  expect(inbox.refusal).toMatchObject({
    code: 'ERR_PEER_FAILED',
    message: 'the destination: no room',
  });
});

test('the end of the link ends whoever waits for nothing else', async () => {
  const inbox = new ControlInbox();
  const why = new Error('gone');
  inbox.fail(why);
  await expect(inbox.ended).rejects.toBe(why);
});

test('"complete" that nobody waits for is no unhandled rejection', async () => {
  new ControlInbox().fail(new Error('gone'));
  const unhandled = new Promise((resolve) => process.once('unhandledRejection', resolve));
  const turn = new Promise((resolve) => setImmediate(resolve, 'quiet'));
  expect(await Promise.race([unhandled, turn])).toBe('quiet');
});

test('silence is a timeout that names what was expected', async () => {
  const inbox = new ControlInbox();
  await expect(inbox.expect('loaded', { timeoutMillis: 5 })).rejects.toMatchObject({
    code: 'ERR_TIMEOUT',
    message: "'loaded' did not come within 5 ms",
  });
});

test('a wait can be aborted', async () => {
  const inbox = new ControlInbox();
  const reason = new Error('cancelled');
  const controller = new AbortController();
  const wait = inbox.expect('loaded', { ...soon, signal: controller.signal });
  controller.abort(reason);
  await expect(wait).rejects.toBe(reason);
});

test('a message that comes after its wait has ended is for whoever asks next', async () => {
  const inbox = new ControlInbox();
  await expect(inbox.expect('started', { timeoutMillis: 1 })).rejects.toThrow(/did not come/);
  inbox.push({ t: 'started' });
  expect(await inbox.expect('started', { timeoutMillis: 1000 })).toEqual({ t: 'started' });
});

test('a peer that says more than anyone asks is refused', () => {
  const inbox = new ControlInbox();
  const flood = (): void => {
    for (let i = 0; i < 100; i += 1) inbox.push({ t: 'running' });
  };
  expect(flood).toThrow(expect.objectContaining({ code: 'ERR_PROTOCOL' }));
});
