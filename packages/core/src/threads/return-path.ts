import { workerData } from 'node:worker_threads';
import {
  type ControlMessage,
  decodeControl,
  FrameReader,
  FrameType,
  pollingSource,
} from '@godwit/transport';
import { requestShortSlice } from '@godwit/posix';
import { PageBitmap } from '../memory/page-bitmap.ts';
import { PageSums } from '../memory/page-sums.ts';
import { countedReads } from './counted-reads.ts';
import { Counters, returnPathCounters } from './counters.ts';
import { Heartbeat } from './heartbeat.ts';
import { rehearseRequests } from './rehearsal.ts';
import { RequestServer } from './request-server.ts';
import type { ReturnPathCommands, ReturnPathData, ReturnPathEvent } from './return-path-api.ts';
import { SenderControl } from './sender-control.ts';
import { unexpectedFrame } from './unexpected-frame.ts';
import { serveThread, tell } from './serve-thread.ts';
import { URGENT_SLICE_MICROS } from './priorities.ts';

/*
 * The source's reader of the return path. Requested pages leave from here, at once, on the urgent
 * channel; the main thread is only told of what it must decide.
 */

/** Requests are read as they come; a bitmap is read ahead in pieces of this. */
const STAGING_BYTES = 64 * 1024;

/** What may be told and not taken yet by the main thread: as much as that keeps of what it has not asked for. */
const UNREAD_MAX = 16;

const data = workerData as ReturnPathData;
const limits = {
  pageBytes: data.blocks[0]?.pageBytes ?? 4096,
  blockPages: data.blockPages,
  /** With `x-checksum`, from the frame on that follows `started`. */
  checked: false,
};
const dirty = data.dirty.map((buffer, i) => new PageBitmap(data.blockPages[i] as number, buffer));
const present = data.present.map(
  (buffer, i) => new PageBitmap(data.blockPages[i] as number, buffer),
);
const control = new SenderControl(data.control);
const counters = new Counters(returnPathCounters, data.counters);
const heartbeat = new Heartbeat();
if (data.checks) heartbeat.seal(); // the urgent channel is opened after `started`
const server = new RequestServer(
  { blocks: data.blocks, dirty, present },
  limits,
  control,
  counters,
  { checks: data.checks, sums: data.sums && new PageSums(data.blocks, data.sums) },
);

requestShortSlice(URGENT_SLICE_MICROS);
rehearseRequests();
serveThread<ReturnPathCommands>({
  ready() {},
  run(descriptor) {
    server.reset();
    const source = countedReads(pollingSource(descriptor), counters);
    const reader = new FrameReader(source, STAGING_BYTES);
    while (reader.next(limits)) {
      serveFrame(reader);
      if (reader.stagedBytes === 0) server.sendNeighbours(descriptor);
    }
  },
});

function serveFrame(reader: FrameReader): void {
  const { header } = reader;
  switch (header.type) {
    case FrameType.REQUEST:
      return server.serve(header);
    case FrameType.CONTROL:
      return takeControl(decodeControl(reader.readBody()));
    case FrameType.RECV_BITMAP: {
      const { block, firstPage, pageCount } = header;
      return report({ type: 'bitmap', block, firstPage, pageCount, bytes: reader.readBody() });
    }
    case FrameType.RESEND: {
      if (!limits.checked) throw unexpectedFrame(header, 'return path');
      const { block, firstPage, pageCount } = header;
      if (server.takeBack(header)) report({ type: 'resend', block, firstPage, pageCount });
      return;
    }
    case FrameType.HEARTBEAT:
      return answerHeartbeat();
    default:
      throw unexpectedFrame(header, 'return path');
  }
}

function takeControl(message: ControlMessage): void {
  if (message.t === 'started') limits.checked = data.checks;
  report({ type: 'control', message });
}

/** The urgent channel's own: what is written there is written by this thread. */
function answerHeartbeat(): void {
  const { urgentDescriptor } = control;
  if (urgentDescriptor >= 0) heartbeat.write(urgentDescriptor);
}

function report(event: ReturnPathEvent): void {
  control.tellOne(event.type === 'bitmap' ? 1 : UNREAD_MAX); // of a bitmap's bytes one body at a time
  tell(event);
}
