import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { FaultEvent, FaultFlag, FaultReader } from '../src/fault-reader.ts';
import { pageBytes } from '../src/mmap.ts';
import { POLLIN, PollSet } from '../src/poll.ts';
import {
  CopyMode,
  tryCopyPages,
  tryZeroPages,
  wakeRange,
  writeProtectRange,
} from '../src/userfaultfd-pages.ts';
import { Features, RegisterMode, registerRange } from '../src/userfaultfd.ts';
import { anonymous, buffer, openUffd, userfaultfd } from './resources.ts';

beforeEach((context) => {
  if (userfaultfd === undefined) context.skip('this process may not have a userfaultfd');
});

const posix = JSON.stringify(fileURLToPath(new URL('../dist/index.js', import.meta.url)));

/**
 * Runs a function in another thread, which may touch missing pages; this one serves them.
 *
 * @param body of a function of `posix` and `data`, which returns the answer.
 */
function inWorker(data: unknown, body: string): { answer: Promise<unknown>; worker: Worker } {
  const program = `
    const { parentPort, workerData: data } = require('node:worker_threads');
    import(${posix}).then((posix) => parentPort.postMessage((() => { ${body} })()));`;
  const worker = new Worker(program, { eval: true, workerData: data });
  onTestFinished(() => worker.terminate().then(() => undefined));
  return { answer: once(worker, 'message').then(([value]) => value as unknown), worker };
}

/** Waits for the next messages, at most ten seconds. */
function awaitFaults(uffd: number, reader: FaultReader): number {
  const set = new PollSet(1);
  set.set(0, uffd, POLLIN);
  set.poll(10_000, 1);
  return reader.read(uffd);
}

test('without a fault there is nothing to read, and no waiting for it', () => {
  const uffd = openUffd(0);
  expect(new FaultReader(4).read(uffd)).toBe(0);
});

test('what is no userfaultfd is an error', () => {
  expect(() => new FaultReader(1).read(-1)).toThrow(
    expect.objectContaining({ code: 'EBADF', syscall: 'read' }),
  );
});

test('a thread that touches missing pages waits for each and finds what was copied', async () => {
  const uffd = openUffd(Features.THREAD_ID);
  const memory = anonymous(4 * pageBytes);
  registerRange(uffd, memory.address, 4 * pageBytes, RegisterMode.MISSING);
  const source = buffer(pageBytes);
  source.bytes.fill(7);
  const { answer } = inWorker(
    { address: memory.address, pageBytes },
    `const bytes = new Uint8Array(posix.viewMemory(data.address, 4 * data.pageBytes));
     bytes[3 * data.pageBytes + 100] = 1;
     return [bytes[3 * data.pageBytes], bytes[data.pageBytes + 1], posix.threadId()];`,
  );
  const reader = new FaultReader(4);

  expect(awaitFaults(uffd, reader)).toBe(1);
  expect(reader.event(0)).toBe(FaultEvent.PAGEFAULT);
  expect(reader.address(0)).toBe(memory.address + 3 * pageBytes);
  expect(reader.flags(0)).toBe(FaultFlag.WRITE);
  const thread = reader.threadId(0);
  tryCopyPages(uffd, reader.address(0), source.address, pageBytes, 0);

  expect(awaitFaults(uffd, reader)).toBe(1);
  expect(reader.address(0)).toBe(memory.address + pageBytes);
  expect(reader.flags(0)).toBe(0);
  tryZeroPages(uffd, reader.address(0), pageBytes, 0);

  expect(await answer).toEqual([7, 0, thread]);
});

test('faults of several threads are read in one call, and wait until they are woken', async () => {
  const uffd = openUffd(Features.EXACT_ADDRESS);
  const memory = anonymous(2 * pageBytes);
  registerRange(uffd, memory.address, 2 * pageBytes, RegisterMode.MISSING);
  const touch = (address: number): Promise<unknown> =>
    inWorker(address, 'return new Uint8Array(posix.viewMemory(data, 1))[0];').answer;
  const answers = [touch(memory.address + 5), touch(memory.address + pageBytes + 6)];

  const reader = new FaultReader(2);
  const seen = new Set<number>();
  while (seen.size < 2) {
    const count = awaitFaults(uffd, reader);
    expect(count).toBeGreaterThan(0);
    for (let index = 0; index < count; index += 1) seen.add(reader.address(index) - memory.address);
  }
  expect(seen).toEqual(new Set([5, pageBytes + 6]));

  const source = buffer(2 * pageBytes);
  source.bytes.fill(8);
  tryCopyPages(uffd, memory.address, source.address, 2 * pageBytes, CopyMode.DONTWAKE);
  wakeRange(uffd, memory.address, 2 * pageBytes);
  expect(await Promise.all(answers)).toEqual([8, 8]);
});

test('a write to a protected page is reported and waits until it is let go', async () => {
  const uffd = openUffd(Features.PAGEFAULT_FLAG_WP);
  const memory = anonymous(pageBytes);
  memory.bytes[0] = 1;
  registerRange(uffd, memory.address, pageBytes, RegisterMode.WP);
  writeProtectRange(uffd, memory.address, pageBytes, true);
  const { answer } = inWorker(
    memory.address,
    'const bytes = new Uint8Array(posix.viewMemory(data, 1)); return (bytes[0] += 1);',
  );
  const reader = new FaultReader(1);
  expect(awaitFaults(uffd, reader)).toBe(1);
  expect(reader.flags(0)).toBe(FaultFlag.WRITE | FaultFlag.WP);
  expect(memory.bytes[0]).toBe(1);
  writeProtectRange(uffd, memory.address, pageBytes, false);
  expect(await answer).toBe(2);
  expect(memory.bytes[0]).toBe(2);
});
