import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect, test, vi } from 'vitest';
import { lookAtHello } from '../src/tls/client-hello.ts';
import { rawClient } from './openings.ts';
import { within } from './resources.ts';
import { clientHello, KEY, psk, secureDestination } from './tls-sides.ts';

vi.mock('node:worker_threads', { spy: true });

test("a client's first word is known when all of it is there", async () => {
  const hello = await clientHello();
  for (let i = 1; i < hello.byteLength; i += 1) {
    expect(lookAtHello(hello.subarray(0, i))).toBe('part');
  }
  expect(lookAtHello(hello)).toBe('whole');
});

test.each([
  ['a web request', 'GET / HTTP/1.1'],
  ['another version of the record', '\x16\x02\x01\x00\x80\x01\x00\x00\x7c'],
  ['another message', '\x16\x03\x01\x00\x80\x02\x00\x00\x7c'],
  ['a message that is longer than its record', '\x16\x03\x01\x00\x80\x01\x00\x01\x7c'],
  ['a record that is longer than any first word', '\x16\x03\x01\x40\x00\x01\x00\x3f\xfc'],
])('%s is none', (_what, text) => {
  expect(lookAtHello(Buffer.from(text, 'latin1'))).toBe('none');
});

test('whoever says less than a first word of TLS, or something else, costs no thread', async () => {
  const destination = await secureDestination({ credentials: await psk('server', KEY) }, 300);
  for (const word of [
    (await clientHello()).subarray(0, -1),
    Buffer.from('160301020001020304', 'hex'),
  ]) {
    const stranger = await rawClient(destination.address);
    stranger.resume();
    stranger.write(word);
    await within('the end', once(stranger, 'close'));
  }
  expect((await destination.refused.take()).code).toBe('ERR_TIMEOUT');
  expect((await destination.refused.take()).code).toBe('ERR_TLS');
  expect(Worker).not.toHaveBeenCalled();
});
