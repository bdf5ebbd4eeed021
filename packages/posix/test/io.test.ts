import { AssertionError } from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import {
  IoVector,
  closeDescriptor,
  duplicateDescriptor,
  read,
  readFully,
  readv,
  setBlocking,
  tryRead,
  tryReadv,
  tryWrite,
  tryWritev,
  write,
  writeFully,
  writev,
} from '../src/io.ts';
import { shutdownSocket, socketPair } from '../src/sockets.ts';
import { buffer, owned } from './resources.ts';

const EAGAIN = 11;
const EPIPE = 32;
const EBADF = 9;

function pair(): [number, number] {
  const [near, far] = socketPair();
  return [owned(near), owned(far)];
}

test('bytes written from memory are read into memory', () => {
  const [near, far] = pair();
  const memory = buffer(64);
  memory.bytes.set([1, 2, 3, 4]);
  expect(write(near, memory.address, 4)).toBe(4);
  expect(read(far, memory.address + 32, 32)).toBe(4);
  expect([...memory.bytes.subarray(31, 37)]).toEqual([0, 1, 2, 3, 4, 0]);
});

test('the end of the stream reads as 0', () => {
  const [near, far] = pair();
  const memory = buffer(8);
  shutdownSocket(near, 'write');
  expect(read(far, memory.address, 8)).toBe(0);
  expect(readFully(far, memory.address, 8)).toBe(0);
});

test('ranges are written in order as one stream, and read apart again', () => {
  const [near, far] = pair();
  const memory = buffer(64);
  memory.bytes.set([1, 2, 3, 4, 5]);
  const outgoing = new IoVector(2);
  outgoing.set(0, memory.address + 3, 2);
  outgoing.set(1, memory.address, 3);
  expect(writev(near, outgoing, 2)).toBe(5);
  const incoming = new IoVector(3);
  incoming.set(0, memory.address + 32, 1);
  incoming.set(1, memory.address + 40, 0);
  incoming.set(2, memory.address + 48, 16);
  expect(readv(far, incoming, 3)).toBe(5);
  expect(memory.bytes[32]).toBe(4);
  expect([...memory.bytes.subarray(48, 53)]).toEqual([5, 1, 2, 3, 0]);
});

test('a vector taken forward continues where the call before stopped', () => {
  const [near, far] = pair();
  const memory = buffer(64);
  memory.bytes.set([1, 2, 3, 4, 5, 6]);
  const vector = new IoVector(3);
  for (const index of [0, 1, 2]) vector.set(index, memory.address + 2 * index, 2);
  expect(vector.advance(0, 1)).toBe(0);
  expect(vector.advance(0, 2)).toBe(1); // the rest of the first, and half of the second
  expect(writev(near, vector, 2, 1)).toBe(3);
  expect(vector.advance(1, 3)).toBe(3);
  expect(read(far, memory.address + 32, 32)).toBe(3);
  expect([...memory.bytes.subarray(32, 35)]).toEqual([4, 5, 6]);
});

test('a vector refuses ranges that it does not have', () => {
  const vector = new IoVector(2);
  expect(() => vector.set(2, 0, 0)).toThrow(AssertionError);
  expect(() => tryWritev(1, vector, 3)).toThrow(AssertionError);
  expect(() => tryReadv(1, vector, 2, 1)).toThrow(AssertionError);
  expect(() => new IoVector(1025)).toThrow(AssertionError);
});

test('for loops a failure is a number: the errno, negative', () => {
  const [near, far] = socketPair();
  owned(near);
  setBlocking(near, false);
  const memory = buffer(8);
  const vector = new IoVector(1);
  vector.set(0, memory.address, 8);
  expect(tryRead(near, memory.address, 8)).toBe(-EAGAIN);
  expect(tryReadv(near, vector, 1)).toBe(-EAGAIN);
  closeDescriptor(far);
  expect(tryWrite(near, memory.address, 8)).toBe(-EPIPE);
  expect(tryWritev(near, vector, 1)).toBe(-EPIPE);
  expect(tryRead(-1, memory.address, 8)).toBe(-EBADF);
});

test('a peer that left is an error of the write, and not the end of the process', () => {
  const [near, far] = socketPair();
  owned(near);
  closeDescriptor(far);
  const memory = buffer(8);
  const broken = expect.objectContaining({ name: 'SystemError', code: 'EPIPE', syscall: 'write' });
  expect(() => write(near, memory.address, 8)).toThrow(broken);
  expect(() => writeFully(near, memory.address, 8)).toThrow(broken);
});

test('more than the socket holds at once is written and read in full', async () => {
  const [near, far] = socketPair();
  owned(near);
  // The peer is another process, which echoes all it was sent; if it dies the stream ends.
  const program = `const fs = require('node:fs'); fs.writeFileSync(1, fs.readFileSync(0));`;
  const peer = spawn(process.execPath, ['--eval', program], { stdio: [far, far, 'inherit'] });
  closeDescriptor(far);
  const byteLength = 3_000_001;
  const memory = buffer(byteLength);
  for (let index = 0; index < byteLength; index += 1) memory.bytes[index] = index % 251;
  writeFully(near, memory.address, byteLength);
  shutdownSocket(near, 'write');
  memory.bytes.fill(255);
  expect(readFully(near, memory.address, byteLength)).toBe(byteLength);
  expect(memory.bytes.every((byte, index) => byte === index % 251)).toBe(true);
  await once(peer, 'exit');
});

test('a stream that ends early gives what it had', () => {
  const [near, far] = pair();
  const memory = buffer(16);
  write(near, memory.address, 5);
  shutdownSocket(near, 'write');
  expect(readFully(far, memory.address, 16)).toBe(5);
});

test('a duplicate outlives the original', () => {
  const [near, far] = socketPair();
  const memory = buffer(8);
  const duplicate = owned(duplicateDescriptor(near));
  closeDescriptor(near);
  owned(far);
  expect(write(duplicate, memory.address, 8)).toBe(8);
  expect(() => closeDescriptor(near)).toThrow(expect.objectContaining({ code: 'EBADF' }));
});

test('a descriptor can be made to wait, and not to', () => {
  const [near, far] = pair();
  const memory = buffer(8);
  setBlocking(near, false);
  expect(() => read(near, memory.address, 8)).toThrow(expect.objectContaining({ code: 'EAGAIN' }));
  setBlocking(near, true);
  write(far, memory.address, 8);
  expect(read(near, memory.address, 8)).toBe(8);
});

test('an error in the middle of the world is named after its call', () => {
  const memory = buffer(8);
  const vector = new IoVector(1);
  vector.set(0, memory.address, 8);
  for (const [name, call] of Object.entries({
    read: () => read(-1, memory.address, 8),
    write: () => write(-1, memory.address, 8),
    readv: () => readv(-1, vector, 1),
    writev: () => writev(-1, vector, 1),
  })) {
    expect(call).toThrow(expect.objectContaining({ code: 'EBADF', syscall: name }));
  }
});
