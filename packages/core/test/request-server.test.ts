import { closeDescriptor, pageBytes, setSocketBuffers, socketPair } from '@godwit/posix';
import {
  channelSource,
  type FrameHeader,
  FrameReader,
  FrameType,
  newFrameHeader,
} from '@godwit/transport';
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { Counters, returnPathCounters } from '../src/threads/counters.ts';
import { RequestServer } from '../src/threads/request-server.ts';
import { SenderControl } from '../src/threads/sender-control.ts';
import { bitmapsOf, bytesOf, pagesIn, realRam } from './real-ram.ts';

const PAGES = 1000;

/** A server over dirty pages that are not zero, a return path and the other end of its urgent channel. */
function serverOver(options: { urgent: boolean } = { urgent: true }) {
  const blocks = realRam([PAGES]);
  bytesOf(blocks[0]).fill(7);
  const [dirty, present] = [bitmapsOf(blocks), bitmapsOf(blocks)];
  for (const bitmap of [...dirty, ...present]) bitmap.fill();
  const control = new SenderControl();
  const counters = new Counters(returnPathCounters);
  const limits = { pageBytes, blockPages: [PAGES] };
  const server = new RequestServer({ blocks, dirty, present }, limits, control, counters);
  const [urgent, far] = sockets();
  const [peer, returnPath] = sockets();
  setSocketBuffers(urgent, { sendBytes: 4 * 1024 * 1024 }); // no test reads while it writes
  if (options.urgent) control.urgentDescriptor = urgent;
  const reader = new FrameReader(channelSource(far), 1024 * 1024);
  let unread = 0;
  /** The runs that have been written since, as [first page, count]. */
  const arrived = (): number[][] => {
    const bytes = counters.get('urgentBytes');
    const runs: number[][] = [];
    while (unread < bytes) {
      reader.next(limits);
      const { firstPage, pageCount, bodyBytes } = reader.header;
      reader.skipBody();
      unread += 24 + bodyBytes;
      runs.push([firstPage, pageCount]);
    }
    return runs;
  };
  const ask = (firstPage: number, pageCount = 1, block = 0): void => {
    const run = { block, firstPage, pageCount, type: FrameType.REQUEST, bodyBytes: 0 };
    server.serve(Object.assign(newFrameHeader(), run) satisfies FrameHeader);
  };
  const sendNeighbours = (): void => server.sendNeighbours(returnPath);
  return { server, dirty, control, counters, urgent, peer, arrived, ask, sendNeighbours };
}

function sockets(): [number, number] {
  const pair = socketPair();
  for (const descriptor of pair) onTestFinished(() => closeDescriptor(descriptor));
  return pair;
}

test('a requested page leaves alone and at once, its neighbours follow when asked to', () => {
  const it = serverOver();
  it.ask(10);
  it.sendNeighbours();
  expect(it.arrived()).toEqual([[10, 1]]);
  it.ask(11);
  expect(it.arrived()).toEqual([[11, 1]]);
  it.sendNeighbours();
  expect(it.arrived()).toEqual([[12, 4]]);
  expect([it.counters.get('urgentPages'), it.counters.get('prefetchedPages')]).toEqual([6, 4]);
});

test('pages that arrived damaged are dirty again, and answer a request', () => {
  const it = serverOver();
  it.ask(10, 3);
  expect(it.dirty[0]?.next(10)).toBe(13);
  const run = { block: 0, firstPage: 10, pageCount: 2, type: FrameType.RESEND, bodyBytes: 0 };
  expect(it.server.takeBack(run)).toBe(true);
  expect(it.dirty[0]?.next(10)).toBe(10);
  it.ask(10, 3);
  expect(it.arrived()).toEqual([
    [10, 3],
    [10, 2],
  ]);
  expect([it.counters.get('resends'), it.counters.get('resentPages')]).toEqual([1, 2]);
  expect(it.server.takeBack({ ...run, firstPage: PAGES - 1 })).toBe(false);
  expect(it.counters.get('impossibleRequests')).toBe(1);
});

test('neighbours leave a few at a time', () => {
  const it = serverOver();
  for (const page of [0, 1, 6, 15, 32]) {
    it.ask(page);
    it.sendNeighbours();
  }
  expect(it.arrived().slice(-3)).toEqual([
    [32, 1],
    [33, 16],
    [49, 16],
  ]);
});

test('a request that has come in goes before neighbours, and they follow after it', () => {
  const it = serverOver();
  it.ask(10);
  it.ask(11);
  writeSync(it.peer, 'a request');
  it.sendNeighbours();
  expect(it.arrived()).toEqual([
    [10, 1],
    [11, 1],
  ]);
  it.ask(500);
  it.server.sendNeighbours(sockets()[0]); // where nothing waits
  expect(it.arrived()).toEqual([
    [500, 1],
    [501, 1],
    [12, 4],
  ]);
});

test('neighbours do not queue up where nobody reads', async () => {
  const it = serverOver();
  setSocketBuffers(it.urgent, { sendBytes: 128 * 1024 });
  for (const page of [0, 1, 6, 15, 32]) it.ask(page); // pages 2 to 64 are worth sending
  const program = `
    const { workerData } = require('node:worker_threads');
    const { setTimeout: later } = require('node:timers/promises');
    later(200).then(() => require('node:fs').writeSync(workerData, 'a request'));`;
  const peer = new Worker(program, { eval: true, workerData: it.peer });
  it.sendNeighbours(); // until the request comes
  expect(it.counters.get('prefetchedPages')).toBeLessThanOrEqual(2 * 16);
  await once(peer, 'exit');
});

test('a page that has left is not sent again', () => {
  const it = serverOver();
  it.ask(10);
  it.ask(10);
  expect(it.arrived()).toEqual([[10, 1]]);
  expect(it.counters.get('repeatedRequests')).toBe(1);
});

test('a request for what does not exist is counted, and nothing else happens', () => {
  const it = serverOver();
  it.ask(PAGES);
  it.ask(0, PAGES + 1);
  it.ask(5, 0);
  it.ask(0, 1, 3);
  it.sendNeighbours();
  expect(it.counters.get('impossibleRequests')).toBe(4);
  expect(it.dirty[0]?.count()).toBe(PAGES);
});

test('without an urgent channel requests are left to the ram-sender, and it alone claims', () => {
  const it = serverOver({ urgent: false });
  for (const page of [10, 11, 12]) it.ask(page);
  it.sendNeighbours();
  expect(it.dirty[0]?.count()).toBe(PAGES);
  expect([1, 2, 3, 4].map(() => it.control.takeRequest())).toEqual([
    [0, 10],
    [0, 11],
    [0, 12],
    undefined,
  ]);
});

test('neighbours of an old link are not sent on a new one', () => {
  const it = serverOver();
  it.ask(10);
  it.ask(11);
  it.server.reset();
  it.sendNeighbours();
  expect(it.arrived()).toEqual([
    [10, 1],
    [11, 1],
  ]);
  expect(pagesIn(it.dirty[0])).toHaveLength(PAGES - 2);
});
