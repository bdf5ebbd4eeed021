import type { ControlMessage } from '@godwit/transport';
import type { ReceivedBuffers } from '../memory/received-pages.ts';
import type { RamBlock } from '../memory/ram-block.ts';

export interface RamReceiverData {
  readonly role: 'main' | 'urgent' | 'page';
  /** Its number among the readers of a link (`PlacingGate`). */
  readonly reader: number;
  readonly blocks: readonly RamBlock[];
  readonly received: ReceivedBuffers;
  readonly requested: readonly SharedArrayBuffer[];
  readonly ledger: SharedArrayBuffer;
  readonly counters: SharedArrayBuffer;
  readonly gate: SharedArrayBuffer;
}

export type RamReceiverCommands = {
  /** Reads the descriptor until the link ends. @returns when it has ended, between two frames. */
  run: { argument: number; answer: void };
  /** Answered as soon as the thread has started. */
  ready: { argument: undefined; answer: void };
};

/** What the receiver tells the main thread while it runs. */
export type RamReceiverEvent =
  | { readonly type: 'control'; readonly message: ControlMessage }
  | { readonly type: 'device'; readonly state: Uint8Array }
  /** Every page of every block is received; told once. */
  | { readonly type: 'complete' };
