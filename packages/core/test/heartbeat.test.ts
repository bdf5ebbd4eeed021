import { closeDescriptor, pendingBytes, socketPair } from '@godwit/posix';
import { FRAME_HEADER_BYTES, FrameType } from '@godwit/transport';
import { expect, onTestFinished, test } from 'vitest';
import { countedReads } from '../src/threads/counted-reads.ts';
import { Counters, receiverCounters } from '../src/threads/counters.ts';
import { Heartbeat } from '../src/threads/heartbeat.ts';
import { FrameStream } from './frame-stream.ts';

function channel(): { readonly near: number; readonly far: number; close: () => void } {
  const [near, far] = socketPair();
  let isOpen = true;
  const close = (): void => {
    if (isOpen) closeDescriptor(far);
    isOpen = false;
  };
  onTestFinished(() => {
    closeDescriptor(near);
    close();
  });
  return { near, far, close };
}

test('a heartbeat is one frame, when an interval is over and not before', async () => {
  const { near, far } = channel();
  const heartbeat = new Heartbeat();
  heartbeat.start(near, 1000, 5000);
  heartbeat.beat(5999);
  expect(pendingBytes(far)).toBe(0);
  expect(heartbeat.restMillis(5999)).toBe(1);
  heartbeat.beat(6000);
  heartbeat.beat(6001);
  expect(pendingBytes(far)).toBe(FRAME_HEADER_BYTES);
  const { header } = await new FrameStream(far, [1]).next();
  expect(header).toMatchObject({ type: FrameType.HEARTBEAT, bodyBytes: 0 });
  heartbeat.beat(9000); // late: the next one is not sooner for it
  expect(heartbeat.restMillis(9000)).toBe(1000);
});

test('there is none where none was agreed on, nor after the end', () => {
  const { near, far } = channel();
  const heartbeat = new Heartbeat();
  expect(heartbeat.restMillis(0)).toBe(Infinity);
  heartbeat.start(near, 0, 0);
  heartbeat.beat(1_000_000);
  heartbeat.start(near, 1000, 0);
  heartbeat.stop();
  heartbeat.beat(1_000_000);
  expect(pendingBytes(far)).toBe(0);
});

test('one that cannot be written is told once', () => {
  const { near, close } = channel();
  const heartbeat = new Heartbeat();
  heartbeat.start(near, 1000, 0);
  close();
  expect(() => heartbeat.beat(1000)).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
  heartbeat.beat(5000);
  expect(heartbeat.restMillis(5000)).toBe(Infinity);
});

test('reads are counted odd while one waits and even when it is over, by an error too', () => {
  const counters = new Counters(receiverCounters);
  const during: number[] = [];
  const read = countedReads((_address, byteLength) => {
    during.push(counters.get('reads'));
    if (byteLength === 0) throw new Error('broken');
    return byteLength;
  }, counters);
  expect(read(0, 7)).toBe(7);
  expect(counters.get('reads')).toBe(2);
  expect(() => read(0, 0)).toThrow('broken');
  expect(counters.get('reads')).toBe(4);
  expect(during).toEqual([1, 3]);
});
