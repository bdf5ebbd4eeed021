import { AssertionError } from 'node:assert/strict';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { createEventfd } from '../src/eventfd.ts';
import { closeDescriptor } from '../src/io.ts';
import { POLLHUP, POLLIN, POLLNVAL, POLLOUT, PollSet } from '../src/poll.ts';
import { socketPair } from '../src/sockets.ts';
import { owned } from './resources.ts';

test('each descriptor has its own answer, and an empty place none', () => {
  const [near, far] = socketPair();
  owned(near);
  const event = owned(createEventfd());
  const set = new PollSet(4);
  set.set(0, near, POLLIN | POLLOUT);
  set.set(2, event, POLLIN);
  set.set(3, 1_000_000, POLLIN);
  expect(set.poll(0, 4)).toBe(2);
  const answers = [0, 1, 2, 3].map((index) => set.revents(index));
  expect(answers).toEqual([POLLOUT, 0, 0, POLLNVAL]);

  closeDescriptor(far);
  set.poll(0, 1);
  expect(set.revents(0) & POLLHUP).toBe(POLLHUP);
});

test('only the first descriptors are asked about', () => {
  const [near, far] = socketPair().map(owned);
  const set = new PollSet(2);
  set.set(0, near ?? -1, POLLIN);
  set.set(1, far ?? -1, POLLOUT);
  expect(set.poll(0, 1)).toBe(0);
  expect(set.poll(0, 2)).toBe(1);
  expect(() => set.poll(0, 3)).toThrow(AssertionError);
  expect(() => set.set(2, 0, POLLIN)).toThrow(AssertionError);
});

test('a poll without limit ends when another thread raises the flag', async () => {
  const fd = owned(createEventfd());
  const set = new PollSet(1);
  set.set(0, fd, POLLIN);
  const program = `
    const { workerData } = require('node:worker_threads');
    const counter = Buffer.alloc(8);
    counter.writeBigUInt64LE(1n);
    require('node:fs').writeSync(workerData, counter);`;
  const worker = new Worker(program, { eval: true, workerData: fd });
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  expect(set.poll(10_000, 1)).toBe(1);
  expect(set.revents(0)).toBe(POLLIN);
  await ended;
});
