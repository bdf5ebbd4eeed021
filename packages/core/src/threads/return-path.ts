import { workerData } from 'node:worker_threads';
import {
  channelSource,
  ChannelError,
  decodeControl,
  FrameReader,
  FrameType,
  type FrameHeader,
  isRunInside,
} from '@godwit/transport';
import { PageBitmap } from '../memory/page-bitmap.ts';
import { Counters, returnPathCounters } from './counters.ts';
import { PageBatch } from './page-batch.ts';
import type { ReturnPathCommands, ReturnPathData, ReturnPathEvent } from './return-path-api.ts';
import { SenderControl } from './sender-control.ts';
import { serveThread, tell } from './serve-thread.ts';

/*
 * The source's reader of the return path. Requested pages leave from here, at once, on the urgent
 * channel; the main thread is only told of what it must decide.
 */

/** Requests are read as they come; a bitmap is read ahead in pieces of this. */
const STAGING_BYTES = 64 * 1024;
const URGENT_PAGES_PER_FRAME = 16;

const data = workerData as ReturnPathData;
const limits = { pageBytes: data.blocks[0]?.pageBytes ?? 4096, blockPages: data.blockPages };
const dirty = data.dirty.map((buffer, i) => new PageBitmap(data.blockPages[i] as number, buffer));
const present = data.present.map(
  (buffer, i) => new PageBitmap(data.blockPages[i] as number, buffer),
);
const control = new SenderControl(data.control);
const counters = new Counters(returnPathCounters, data.counters);
const batch = new PageBatch({ blocks: data.blocks, dirty, present });
let descriptor = -1;
const reader = new FrameReader((address, byteLength) => {
  return channelSource(descriptor)(address, byteLength);
}, STAGING_BYTES);

serveThread<ReturnPathCommands>({
  run(newDescriptor) {
    descriptor = newDescriptor;
    reader.reset();
    batch.clear();
    while (reader.next(limits)) serveFrame(reader.header);
  },
});

function serveFrame(header: FrameHeader): void {
  switch (header.type) {
    case FrameType.REQUEST:
      return serveRequest(header);
    case FrameType.CONTROL:
      return report({ type: 'control', message: decodeControl(reader.readBody()) });
    case FrameType.RECV_BITMAP: {
      const { block, firstPage, pageCount } = header;
      return report({ type: 'bitmap', block, firstPage, pageCount, bytes: reader.readBody() });
    }
    case FrameType.HEARTBEAT:
      return;
    default: {
      const type = header.type.toString(16);
      throw new ChannelError('ERR_PROTOCOL', `frame type 0x${type} on the return path`);
    }
  }
}

/** A bad request is counted and ignored: a reader that dies of it would take the guest with it. */
function serveRequest(header: FrameHeader): void {
  counters.add('requests', 1);
  if (!isRunInside(header, limits)) {
    counters.add('impossibleRequests', 1);
    return;
  }
  const { block, firstPage, pageCount } = header;
  const bitmap = dirty[block] as PageBitmap;
  const end = firstPage + pageCount;
  const first = bitmap.next(firstPage, end);
  if (first < 0) {
    counters.add('repeatedRequests', 1); // on its way already
    return;
  }
  const urgent = control.urgentDescriptor;
  if (urgent < 0) {
    // A full ring is no loss: every dirty page comes with the bulk.
    for (let page = first; page >= 0; page = bitmap.next(page + 1, end)) {
      control.pushRequest(block, page);
    }
    return;
  }
  sendUrgent(urgent, block, first, end);
}

function sendUrgent(urgent: number, block: number, first: number, end: number): void {
  const bitmap = dirty[block] as PageBitmap;
  for (let page = first; page >= 0; page = bitmap.next(page, end)) {
    page += batch.claim(block, page, Math.min(URGENT_PAGES_PER_FRAME, end - page));
    flush(urgent);
  }
}

function flush(urgent: number): void {
  counters.add('urgentPages', batch.normalPages);
  counters.add('urgentZeroPages', batch.zeroPages);
  batch.normalPages = 0;
  batch.zeroPages = 0;
  counters.add('urgentBytes', batch.write(urgent));
}

function report(event: ReturnPathEvent): void {
  tell(event);
}
