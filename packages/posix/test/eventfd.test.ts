import { expect, test } from 'vitest';
import { createEventfd, drainEventfd, signalEventfd } from '../src/eventfd.ts';
import { write } from '../src/io.ts';
import { POLLIN, PollSet } from '../src/poll.ts';
import { buffer, owned } from './resources.ts';

test('a flag is lowered once, however often it was raised', () => {
  const fd = owned(createEventfd());
  expect(drainEventfd(fd)).toBe(false);
  signalEventfd(fd);
  signalEventfd(fd);
  expect(drainEventfd(fd)).toBe(true);
  expect(drainEventfd(fd)).toBe(false);
});

test('raising a flag whose counter is full succeeds: it is raised', () => {
  const fd = owned(createEventfd());
  const memory = buffer(8);
  new DataView(memory.bytes.buffer).setBigUint64(0, 2n ** 64n - 2n, true);
  write(fd, memory.address, 8);
  signalEventfd(fd);
  expect(drainEventfd(fd)).toBe(true);
});

test('a raised flag is readable to poll', () => {
  const fd = owned(createEventfd());
  const set = new PollSet(1);
  set.set(0, fd, POLLIN);
  expect(set.poll(0, 1)).toBe(0);
  signalEventfd(fd);
  expect(set.poll(0, 1)).toBe(1);
});
