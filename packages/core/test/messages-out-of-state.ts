import {
  type ControlMessage,
  type ControlType,
  encodeControl,
  FRAME_HEADER_BYTES,
  FrameType,
} from '@godwit/transport';
import { pageBytes } from '@godwit/posix';
import { runFrame } from './hand-made-peer.ts';

const proof = { pages: 1, digest: new Uint8Array(32) };

/** One of each control message, good in itself; a new one does not compile until it is here. */
const samples: { readonly [T in ControlType]: Extract<ControlMessage, { readonly t: T }> } = {
  start: { t: 'start', page: pageBytes, blocks: [['ram0', pageBytes]], caps: [], uuid: null },
  started: { t: 'started' },
  refused: { t: 'refused', why: 'so' },
  pass: { t: 'pass', n: 1 },
  sync: { t: 'sync', n: 1 },
  flush: { t: 'flush' },
  flushed: { t: 'flushed' },
  'switchover-ack': { t: 'switchover-ack' },
  listen: { t: 'listen' },
  loaded: { t: 'loaded', ...proof },
  run: { t: 'run', paused: false },
  running: { t: 'running' },
  end: { t: 'end' },
  complete: { t: 'complete', ...proof },
  finished: { t: 'finished' },
  abandon: { t: 'abandon', why: 'so' },
  failed: { t: 'failed', why: 'so' },
  recover: { t: 'recover' },
  recovering: { t: 'recovering', phase: 'running', ...proof },
  resume: { t: 'resume' },
  resumed: { t: 'resumed' },
};

export function sampleOf(type: ControlType): Uint8Array {
  return encodeControl(samples[type]);
}

/** One frame of each type, good in itself for a block of `pages` pages. */
export function frameOf(type: FrameType, pages: number): Uint8Array {
  switch (type) {
    case FrameType.PAGES:
      return runFrame(type, 1, pageBytes);
    case FrameType.ZLIB_PAGES:
      return runFrame(type, 1, 100);
    case FrameType.DISCARD:
    case FrameType.RECV_BITMAP:
      return runFrame(type, pages, pages / 8);
    case FrameType.ZERO:
    case FrameType.REQUEST:
      return runFrame(type, 1, 0);
    case FrameType.CONTROL:
      return sampleOf('pass');
    default:
      return runFrame(type, 0, 0);
  }
}

/** Announces a body, and never brings it. */
export function headerAlone(type: FrameType, bodyBytes: number): Uint8Array {
  return runFrame(type, 0, bodyBytes).subarray(0, FRAME_HEADER_BYTES);
}
