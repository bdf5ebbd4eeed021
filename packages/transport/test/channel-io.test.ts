import { createHash, randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import {
  closeDescriptor,
  duplicateDescriptor,
  setSocketBuffers,
  shutdownSocket,
  socketPair,
} from '@godwit/posix';
import { describe, expect, test } from 'vitest';
import { channelSource, pollingSource, writeBatch, writeBytes } from '../src/channel-io.ts';
import { encodeFrameHeader, FRAME_HEADER_BYTES, FrameType } from '../src/framing/frame.ts';
import { FrameBatch } from '../src/framing/frame-batch.ts';
import { buffer, owned, within } from './resources.ts';

/** Far less than is written: the writer is stopped again and again within a range. */
const SEND_BUFFER_BYTES = 8192;

/**
 * Reads a descriptor in a thread of its own, in pieces of all sizes, up to its end or up to a limit,
 * and closes it whatever happens: whoever writes to its other end never hangs.
 */
const DRAIN = `
  const { createHash } = require('node:crypto');
  const { closeSync, readSync } = require('node:fs');
  const { parentPort, workerData } = require('node:worker_threads');
  const { descriptor, bytesMax } = workerData;
  const hash = createHash('sha256');
  const piece = Buffer.alloc(70_001);
  let total = 0;
  try {
    for (let turn = 1; total < bytesMax; turn += 1) {
      const bytes = readSync(descriptor, piece, 0, 1 + ((turn * 7919) % piece.length), null);
      if (bytes === 0) break;
      hash.update(piece.subarray(0, bytes));
      total += bytes;
    }
  } finally {
    closeSync(descriptor);
  }
  parentPort.postMessage({ total, sha256: hash.digest('hex') });
`;

interface Drained {
  readonly total: number;
  readonly sha256: string;
}

/** @param bytesMax after which the reader leaves, whatever is still to come. */
function drain(bytesMax: number): { descriptor: number; drained: Promise<Drained> } {
  const [near, far] = socketPair();
  setSocketBuffers(owned(near), { sendBytes: SEND_BUFFER_BYTES });
  const worker = new Worker(DRAIN, {
    eval: true,
    trackUnmanagedFds: false, // it closes a descriptor that it did not open
    workerData: { descriptor: far, bytesMax },
  });
  const drained = once(worker, 'message').then(([message]) => message as Drained);
  return { descriptor: near, drained: within('the reader', drained) };
}

function sha256(...parts: Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

describe('a reader that is slower than the writer', () => {
  test('gets all bytes', async () => {
    const memory = buffer(3_000_001);
    randomFillSync(memory.bytes);
    const { descriptor, drained } = drain(Infinity);
    writeBytes(descriptor, memory.address, memory.byteLength);
    shutdownSocket(descriptor, 'write');
    expect(await drained).toEqual({ total: 3_000_001, sha256: sha256(memory.bytes) });
  });

  test('gets every range of a batch, wherever a write stopped within it', async () => {
    const pageBytes = 512;
    const memory = buffer(400 * pageBytes);
    randomFillSync(memory.bytes);
    const { descriptor, drained } = drain(Infinity);
    const batch = new FrameBatch();
    const expected: Uint8Array[] = [];
    let total = 0;
    for (const round of [0, 1, 2]) {
      for (let index = 0; !batch.isFull; index += 1) {
        const pageCount = index % 3 === 0 ? 0 : (index * 31 + round) % 40; // some have no body
        const type = pageCount === 0 ? FrameType.HEARTBEAT : FrameType.PAGES;
        const offset = (index % 300) * pageBytes;
        const bodyBytes = pageCount * pageBytes;
        batch.add(type, 0, index, pageCount, memory.address + offset, bodyBytes);

        const header = new Uint8Array(FRAME_HEADER_BYTES);
        const view = new DataView(header.buffer);
        encodeFrameHeader(view, 0, type, 0, index, pageCount, bodyBytes);
        expected.push(header, memory.bytes.subarray(offset, offset + bodyBytes));
      }
      total += batch.byteLength;
      expect(batch.byteLength).toBeGreaterThan(100 * SEND_BUFFER_BYTES);
      writeBatch(descriptor, batch);
    }
    shutdownSocket(descriptor, 'write');
    expect(await drained).toEqual({ total, sha256: sha256(...expected) });
  });
});

describe('a peer that is gone', () => {
  const closed = expect.objectContaining({
    name: 'ChannelError',
    code: 'ERR_CLOSED',
    cause: expect.objectContaining({ name: 'SystemError' }),
  });

  function pairWithoutPeer(): number {
    const [near, far] = socketPair();
    closeDescriptor(far);
    return owned(near);
  }

  test('ends a write, and a batch', () => {
    const memory = buffer(64);
    const descriptor = pairWithoutPeer();
    expect(() => writeBytes(descriptor, memory.address, 64)).toThrow(closed);
    const batch = new FrameBatch();
    batch.add(FrameType.PAGES, 0, 0, 1, memory.address, 64);
    expect(() => writeBatch(descriptor, batch)).toThrow(closed);
  });

  test('ends a write that is blocked already', async () => {
    const memory = buffer(1_000_000);
    const { descriptor, drained } = drain(100_000);
    expect(() => writeBytes(descriptor, memory.address, memory.byteLength)).toThrow(closed);
    expect((await drained).total).toBeGreaterThanOrEqual(100_000);
  });

  test('ends a batch that is blocked already', async () => {
    const memory = buffer(1_000_000);
    const { descriptor, drained } = drain(100_000);
    const batch = new FrameBatch();
    batch.add(FrameType.DEVICE, 0, 0, 0, memory.address, memory.byteLength);
    expect(() => writeBatch(descriptor, batch)).toThrow(closed);
    expect((await drained).total).toBeGreaterThanOrEqual(100_000);
  });

  test('is the end of the stream for a reader', () => {
    const memory = buffer(64);
    for (const source of [channelSource, pollingSource]) {
      expect(source(pairWithoutPeer())(memory.address, 64)).toBe(0);
    }
  });

  test('is an error for a reader when it left bytes of ours unread', () => {
    const memory = buffer(64);
    for (const source of [channelSource, pollingSource]) {
      const [near, far] = socketPair();
      writeBytes(owned(near), memory.address, 64);
      closeDescriptor(far);
      expect(() => source(near)(memory.address, 64)).toThrow(closed);
    }
  });
});

test('a reader that polls waits for the first byte, and takes what there is', async () => {
  const [near, far] = socketPair();
  const memory = buffer(64);
  const program = `
    const { workerData } = require('node:worker_threads');
    const { setTimeout: later } = require('node:timers/promises');
    later(20).then(() => require('node:fs').writeSync(workerData, 'abc'));`;
  const writer = new Worker(program, { eval: true, workerData: far });
  expect(pollingSource(owned(near))(memory.address, 64)).toBe(3);
  expect([...memory.bytes.subarray(0, 3)]).toEqual([97, 98, 99]);
  await within('the writer', once(writer, 'exit'));
  closeDescriptor(far);
});

test('a link that is shut down here ends reads and writes here', () => {
  const memory = buffer(64);
  const [near, far] = socketPair().map(owned) as [number, number];
  const copy = owned(duplicateDescriptor(near));
  shutdownSocket(copy, 'both');
  expect(channelSource(near)(memory.address, 64)).toBe(0);
  expect(channelSource(far)(memory.address, 64)).toBe(0);
  expect(() => writeBytes(near, memory.address, 64)).toThrow(
    expect.objectContaining({ code: 'ERR_CLOSED' }),
  );
});
