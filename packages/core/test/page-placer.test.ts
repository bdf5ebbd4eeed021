import { hasData, NativeBuffer, pageBytes, probeHost, setFileBytes } from '@godwit/posix';
import { FrameType } from '@godwit/transport';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { Blocktime } from '../src/memory/blocktime.ts';
import { FaultLedger } from '../src/memory/fault-ledger.ts';
import { closeFaultSource, openFaultSource, watchMissing } from '../src/memory/fault-source.ts';
import { makeMissing } from '../src/memory/guest-ram.ts';
import { LatencyHistogram } from '../src/memory/latency-histogram.ts';
import { PageBitmap } from '../src/memory/page-bitmap.ts';
import type { RamBlock } from '../src/memory/ram-block.ts';
import { newReceivedPages } from '../src/memory/received-pages.ts';
import { Counters, faultCounters, receiverCounters } from '../src/threads/counters.ts';
import { FaultServer } from '../src/threads/fault-server.ts';
import { PagePlacer } from '../src/threads/page-placer.ts';
import { PlacingGate } from '../src/threads/placing-gate.ts';
import { pageOf, pagesIn, realRam } from './real-ram.ts';

beforeEach((context) => {
  const { userfaultfd } = probeHost();
  if (!userfaultfd.available) context.skip(userfaultfd.reason);
});

const PAGES = 6;

/** A guest in postcopy without a page, in a file that has room for some of its pages alone. */
function crampedRam(roomPages: number) {
  const [block] = realRam([PAGES], 'memfd') as [RamBlock];
  const received = newReceivedPages([block]);
  const requested = new PageBitmap(PAGES);
  const gate = new PlacingGate();
  makeMissing(block, received.bitmaps[0] as PageBitmap);
  gate.userfaultfd = openFaultSource([block]);
  onTestFinished(() => closeFaultSource(gate.userfaultfd, [block]));
  watchMissing(gate.userfaultfd, [block]);
  setFileBytes(block.descriptor as number, roomPages * pageBytes);
  const counters = new Counters(receiverCounters);
  const ledger = new FaultLedger();
  const tables = { blocks: [block], received, requested: [requested], ledger, counters, gate };
  const placer = new PagePlacer(tables, () => undefined);
  const source = new NativeBuffer(PAGES * pageBytes);
  onTestFinished(() => source[Symbol.dispose]());
  source.bytes.fill(7);
  const place = (firstPage: number, pageCount: number): void => {
    const bodyBytes = pageCount * pageBytes;
    const header = { type: FrameType.PAGES, block: 0, firstPage, pageCount, bodyBytes };
    placer.placeCopyOf(header, source.address);
  };
  const placeZeros = (firstPage: number, pageCount: number): void => {
    const header = { type: FrameType.ZERO, block: 0, firstPage, pageCount, bodyBytes: 0 };
    placer.placeZeroRun(header);
  };
  const faults = {
    ...tables,
    faulted: [new PageBitmap(PAGES)],
    damaged: [new PageBitmap(PAGES)],
    counters: new Counters(faultCounters),
    histogram: new LatencyHistogram(),
    blocktime: new Blocktime(1),
  };
  const lost: unknown[] = [];
  const server = new FaultServer(faults, (error) => lost.push(error));
  server.watch(gate.userfaultfd);
  return { block, received, requested, ledger, place, placeZeros, server, lost };
}

test('of a run that cannot be placed to its end, what is in place is received, and waited for no more', () => {
  const it = crampedRam(3);
  it.ledger.open(0, 2, 1, 0);
  it.requested.addRun(2, 2);
  expect(() => it.place(1, 4)).toThrow('UFFDIO_COPY');
  expect(pageOf(it.block, 2)[0]).toBe(7); // the guest may store to it from now on
  expect(pagesIn(it.received.bitmaps[0])).toEqual([1, 2]);
  expect(it.received.count).toBe(2);
  expect(pagesIn(it.requested)).toEqual([3]);
  expect(it.ledger.isWaiting(1)).toBe(false);
});

test('who waits for zeros that could not be placed goes on with the next link, once there is room', () => {
  const it = crampedRam(3);
  const descriptor = it.block.descriptor as number;
  it.ledger.open(0, 4, 1, 0);
  it.requested.add(4);
  expect(() => it.placeZeros(4, 1)).toThrow('UFFDIO_ZEROPAGE');
  it.server.requestOutstanding();
  expect(it.lost).toMatchObject([{ syscall: 'ioctl UFFDIO_ZEROPAGE' }]);
  setFileBytes(descriptor, PAGES * pageBytes);
  it.server.requestOutstanding();
  expect(hasData(descriptor, 4 * pageBytes, 5 * pageBytes)).toBe(true); // of no use but to who waits
  expect(it.ledger.isWaiting(1)).toBe(false);
  expect(it.requested.count()).toBe(0);
});
