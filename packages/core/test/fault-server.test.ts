import { closeDescriptor, pageBytes, socketPair } from '@godwit/posix';
import { channelSource, FrameReader, FrameType } from '@godwit/transport';
import { writeSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { Blocktime } from '../src/memory/blocktime.ts';
import { FaultLedger, settleRun } from '../src/memory/fault-ledger.ts';
import { LatencyHistogram } from '../src/memory/latency-histogram.ts';
import { PageBitmap } from '../src/memory/page-bitmap.ts';
import { ReceivedPages } from '../src/memory/received-pages.ts';
import { Counters, faultCounters } from '../src/threads/counters.ts';
import { FaultServer } from '../src/threads/fault-server.ts';
import { pagesIn } from './real-ram.ts';

const PAGES = 100;
const blocks = [0x10_0000_0000, 0x20_0000_0000].map((address, i) => ({
  id: `ram${i}`,
  byteLength: PAGES * pageBytes,
  pageBytes,
  address, // nothing is there, and nobody looks
  backing: 'anon' as const,
}));

/** A server whose userfaultfd is a socket of the test's, and the other end of its return path. */
function serverOver() {
  const [kernel, userfaultfd] = sockets();
  const [descriptor, far] = sockets();
  const tables = {
    blocks,
    received: new ReceivedPages([PAGES, PAGES]),
    requested: blocks.map(() => new PageBitmap(PAGES)),
    faulted: blocks.map(() => new PageBitmap(PAGES)),
    damaged: blocks.map(() => new PageBitmap(PAGES)),
    ledger: new FaultLedger(),
    counters: new Counters(faultCounters),
    histogram: new LatencyHistogram(),
    blocktime: new Blocktime(1),
  };
  const lost: unknown[] = [];
  const server = new FaultServer(tables, (error) => lost.push(error));
  server.watch(userfaultfd);
  const reader = new FrameReader(channelSource(far), 4096);
  /** Everything that has been written since, as [type, block, page, count]. */
  const frames = (): number[][] => {
    writeSync(descriptor, new Uint8Array(24).fill(FrameType.HEARTBEAT, 0, 1)); // an end to read up to
    const heard: number[][] = [];
    for (;;) {
      reader.next({ pageBytes, blockPages: [PAGES, PAGES] });
      const { type, block, firstPage, pageCount } = reader.header;
      if (type === FrameType.HEARTBEAT) return heard;
      heard.push([type, block, firstPage, pageCount]);
    }
  };
  /** The requests that have been written since, as [block, page]. */
  const requests = (): number[][] => {
    writeSync(descriptor, new Uint8Array(24).fill(FrameType.HEARTBEAT, 0, 1)); // an end to read up to
    const heard: number[][] = [];
    for (;;) {
      reader.next({ pageBytes, blockPages: [PAGES, PAGES] });
      const { type, block, firstPage, pageCount } = reader.header;
      if (type === FrameType.HEARTBEAT) return heard;
      expect([type, pageCount]).toEqual([FrameType.REQUEST, 1]);
      heard.push([block, firstPage]);
    }
  };
  /** Threads touch missing pages, all before the next look. */
  const touch = (...touches: [block: number, page: number, threadId: number][]): void => {
    for (const [block, page, threadId] of touches) {
      const message = new DataView(new ArrayBuffer(32));
      message.setUint8(0, 0x12);
      const address = (blocks[block]?.address ?? 0) + page * pageBytes;
      message.setBigUint64(16, BigInt(address), true);
      message.setUint32(24, threadId, true);
      writeSync(kernel, message);
    }
    server.serveFaults();
  };
  return { ...tables, server, descriptor, requests, frames, touch, lost };
}

function sockets(): [number, number] {
  const pair = socketPair();
  for (const descriptor of pair) onTestFinished(() => closeDescriptor(descriptor));
  return pair;
}

test('a page that several threads touch is asked for once', () => {
  const it = serverOver();
  it.server.attach(it.descriptor);
  it.server.requestOutstanding();
  it.touch([0, 7, 1], [1, 7, 2], [0, 7, 3]);
  it.touch([0, 7, 4], [0, 8, 1]);
  expect(it.requests()).toEqual([
    [0, 7],
    [1, 7],
    [0, 8],
  ]);
  expect([it.counters.get('faults'), it.counters.get('requests')]).toEqual([5, 3]);
});

test('pages that arrived damaged are asked for once, those that have come since are not', () => {
  const it = serverOver();
  it.damaged[0]?.addRun(3, 4);
  it.server.requestDamaged(); // without a link: the next one compares what is received
  it.server.attach(it.descriptor);
  it.damaged[1]?.addRun(20, 2);
  it.received.addRun(1, 20, 2);
  it.server.requestDamaged();
  expect(it.frames()).toEqual([[FrameType.RESEND, 0, 3, 4]]);
  it.server.requestDamaged();
  expect(it.frames()).toEqual([]);
  it.server.requestOutstanding(); // requests are answered from here on
  it.damaged[1]?.addRun(7, 2);
  it.server.requestDamaged();
  expect(it.frames()).toEqual([
    [FrameType.RESEND, 1, 7, 2],
    [FrameType.REQUEST, 1, 7, 2],
  ]);
  expect(it.counters.get('requests')).toBe(1);
});

test('everybody who waited for a page is told of when it has come', () => {
  const it = serverOver();
  it.server.attach(it.descriptor);
  it.server.requestOutstanding();
  it.touch([0, 7, 1], [0, 7, 3], [0, 8, 4]);
  it.received.addRun(0, 7, 1);
  settleRun(it.ledger, it.requested[0] as PageBitmap, 0, 7, 1);
  it.server.collectSettled();
  expect(it.histogram.count).toBe(2);
  expect(pagesIn(it.faulted[0])).toEqual([7, 8]); // also those that have come since
  expect(it.blocktime.byThread().map(({ threadId }) => threadId)).toEqual([1, 3]);
});

test('without a link faults are kept, and asked for when there is one, on each link once', () => {
  const it = serverOver();
  it.touch([0, 7, 1], [1, 9, 2]);
  expect(it.counters.get('requests')).toBe(0);
  it.server.attach(it.descriptor);
  it.touch([0, 8, 3]);
  expect(it.requests()).toEqual([]);
  it.received.addRun(1, 9, 1);
  it.server.requestOutstanding();
  it.touch([0, 7, 4]);
  expect(it.requests()).toEqual([
    [0, 7],
    [0, 8],
  ]);
  it.server.attach(it.descriptor); // as if it were another
  it.server.requestOutstanding();
  expect(it.requests()).toEqual([
    [0, 7],
    [0, 8],
  ]);
});

test('a link that breaks under a request is told of, and the request is kept', () => {
  const it = serverOver();
  it.server.attach(-1);
  it.server.requestOutstanding();
  it.touch([0, 7, 1]);
  expect(it.lost).toMatchObject([{ code: 'ERR_CLOSED' }]);
  it.touch([0, 8, 2]);
  expect(it.lost).toHaveLength(1);
  it.server.attach(it.descriptor);
  it.server.requestOutstanding();
  expect(it.requests()).toEqual([
    [0, 7],
    [0, 8],
  ]);
});

test('a page of zeros that cannot be placed leaves its thread waiting, and the link is given up', () => {
  const it = serverOver();
  it.server.attach(it.descriptor);
  it.server.requestOutstanding();
  it.received.addRun(0, 7, 1);
  it.touch([0, 7, 1]); // a socket places no page
  expect(it.lost).toMatchObject([{ syscall: 'ioctl UFFDIO_ZEROPAGE' }]);
  expect(it.ledger.isWaiting(1)).toBe(true);
  expect(pagesIn(it.requested[0])).toEqual([7]);
  it.touch([0, 8, 2]);
  expect(it.requests()).toEqual([[0, 8]]);
});
