import { shutdownSocket, socketPair } from '@godwit/posix';
import { expect, test } from 'vitest';
import { channelSource, writeBatch } from '../src/channel-io.ts';
import { FrameBatch } from '../src/framing/frame-batch.ts';
import { FrameReader } from '../src/framing/frame-reader.ts';
import { type FrameLimits, FrameType, PAGES_BODY_BYTES_MAX } from '../src/framing/frame.ts';
import { buffer, owned } from './resources.ts';

const limits: FrameLimits = { pageBytes: 64, blockPages: [4096, 4096] };

test('a batch leaves in the order in which it was filled, and is empty then', () => {
  const [near, far] = socketPair().map(owned) as [number, number];
  const pages = buffer(256);
  pages.bytes.forEach((_byte, at) => (pages.bytes[at] = at));
  const batch = new FrameBatch();
  const reader = new FrameReader(channelSource(far), 4096);
  for (const round of [1, 2]) {
    batch.add(FrameType.PAGES, 1, round, 2, pages.address + 64, 128);
    batch.add(FrameType.ZERO, 0, 7, 3, 0, 0);
    batch.add(FrameType.PAGES, 1, 5, 1, pages.address, 64);
    expect([batch.ranges, batch.byteLength]).toEqual([5, 3 * 24 + 192]);
    writeBatch(near, batch);
    expect([batch.ranges, batch.byteLength]).toEqual([0, 0]);

    reader.next(limits);
    expect(reader.header).toMatchObject({ type: FrameType.PAGES, block: 1, firstPage: round });
    expect(reader.readBody()).toEqual(pages.bytes.slice(64, 192));
    reader.next(limits);
    expect(reader.header).toMatchObject({ type: FrameType.ZERO, firstPage: 7, pageCount: 3 });
    reader.next(limits);
    expect(reader.header).toMatchObject({ type: FrameType.PAGES, firstPage: 5, pageCount: 1 });
    expect(reader.readBody()).toEqual(pages.bytes.slice(0, 64));
  }
  writeBatch(near, batch); // nothing to say
  shutdownSocket(near, 'write');
  expect(reader.next(limits)).toBe(false);
});

test('a batch is full after 512 frames; one more is our own mistake', () => {
  const page = buffer(64);
  const batch = new FrameBatch();
  for (let index = 0; index < 512; index += 1) {
    expect(batch.isFull).toBe(false);
    batch.add(FrameType.PAGES, 0, index, 1, page.address, 64);
  }
  expect(batch.isFull).toBe(true);
  expect(() => batch.add(FrameType.ZERO, 0, 0, 1, 0, 0)).toThrow(
    expect.objectContaining({ code: 'ERR_ASSERTION' }),
  );
  batch.clear();
  expect(batch.isFull).toBe(false);
});

test('a body that the protocol does not allow does not get into a batch', () => {
  const batch = new FrameBatch();
  expect(() => {
    batch.add(FrameType.PAGES, 0, 0, 1, 0, PAGES_BODY_BYTES_MAX + 1);
  }).toThrow(expect.objectContaining({ code: 'ERR_ASSERTION' }));
  expect([batch.ranges, batch.byteLength]).toEqual([0, 0]);
});
