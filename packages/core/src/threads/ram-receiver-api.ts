import type { ControlMessage } from '@godwit/transport';
import type { ReceivedBuffers } from '../memory/received-pages.ts';
import type { RamBlock } from '../memory/ram-block.ts';

export interface RamReceiverData {
  readonly role: 'main' | 'urgent';
  readonly blocks: readonly RamBlock[];
  readonly received: ReceivedBuffers;
  readonly requested: readonly SharedArrayBuffer[];
  readonly ledger: SharedArrayBuffer;
  readonly counters: SharedArrayBuffer;
  /** Two words: the userfaultfd, -1 before postcopy-ram was agreed on; and 1 once postcopy listens. */
  readonly userfaultfd: SharedArrayBuffer;
}

/**
 * How pages are taken: into plain memory, placed under a guest that may wait for them, or not at all:
 * after the device state of a precopy nothing may change any more.
 */
export type PlacingMode = 'precopy' | 'postcopy' | 'sealed';

export type RamReceiverCommands = {
  /** Reads the descriptor until the link ends. @returns when it has ended, between two frames. */
  run: {
    argument: { readonly descriptor: number; readonly mode: PlacingMode };
    answer: void;
  };
};

/** What the receiver tells the main thread while it runs. */
export type RamReceiverEvent =
  | { readonly type: 'control'; readonly message: ControlMessage }
  | { readonly type: 'device'; readonly state: Uint8Array }
  /** Every page of every block is received; told once. */
  | { readonly type: 'complete' };
