import type { ControlMessage } from '@godwit/transport';
import type { PageRun } from '../memory/page-run.ts';
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
  /** With `x-ram-digest`: `PageSums`. */
  readonly sums: readonly SharedArrayBuffer[];
  /** Pages that arrived damaged: every receiver's to add, the fault thread's to take. */
  readonly damaged: readonly SharedArrayBuffer[];
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
  | {
      readonly type: 'device';
      readonly state: Uint8Array;
      /** With `x-ram-digest`, in precopy: of each block, with all its pages. */
      readonly ram?: readonly Uint8Array[];
    }
  /** A frame of these pages arrived damaged; they are not received. */
  | ({ readonly type: 'damaged' } & PageRun)
  /** Every page of every block is received; told once. */
  | { readonly type: 'complete' };
