import type { ControlMessage } from '@godwit/transport';
import type { PageRun } from '../memory/page-run.ts';
import type { RamSenderData } from './ram-sender-api.ts';

/** It shares what the ram-sender has, with counters of its own. */
export type ReturnPathData = RamSenderData;

export type ReturnPathCommands = {
  /** Answered as soon as the thread has started. */
  ready: { argument: undefined; answer: void };
  /** Reads the descriptor until the link ends. @returns when it has ended. */
  run: { argument: number; answer: void };
};

/** What arrives on the return path beside page requests. */
export type ReturnPathEvent =
  | { readonly type: 'control'; readonly message: ControlMessage }
  | ({ readonly type: 'bitmap'; readonly bytes: Uint8Array } & PageRun)
  /** These pages arrived damaged; they are dirty again. */
  | ({ readonly type: 'resend' } & PageRun);
