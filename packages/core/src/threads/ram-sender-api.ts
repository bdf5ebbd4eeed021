import type { RamBlock } from '../memory/ram-block.ts';
import type { Rate } from './sender-control.ts';

export interface RamSenderData {
  readonly blocks: readonly RamBlock[];
  readonly blockPages: readonly number[];
  readonly dirty: readonly SharedArrayBuffer[];
  readonly present: readonly SharedArrayBuffer[];
  readonly control: SharedArrayBuffer;
  readonly counters: SharedArrayBuffer;
  /** With `x-checksum`. */
  readonly checks: boolean;
  /** With `x-ram-digest`: `PageSums`. */
  readonly sums?: readonly SharedArrayBuffer[];
  /** Of a page-sender; the thread of the main channel has none. */
  readonly pageChannel?: PageChannelData;
}

export interface PageChannelData {
  /** Left out, pages are not compressed. */
  readonly zlibLevel?: number;
}

export interface AttachOrder {
  /** -1: none, nothing is written any more. */
  readonly descriptor: number;
  /** Milliseconds; 0: none. */
  readonly heartbeat: number;
}

/** The link broke under a heartbeat. */
export interface RamSenderEvent {
  readonly type: 'link-lost';
  readonly message: string;
}

export interface TransferOrder {
  /** A number never used before; `SenderControl.stop` names it. */
  readonly transfer: number;
  readonly rate: Rate;
  /** How many threads work on this transfer; they share the bandwidth. */
  readonly senders: number;
  /** Only pages of zeros, which others leave to this thread then: `zero-page-detection` is legacy. */
  readonly zerosOnly?: true;
  /** Ends the transfer with this sync point, stopped or not. */
  readonly sync?: number;
  /** Ends a pass of this number with its frame, unless stopped. */
  readonly pass?: number | undefined;
}

export interface TransferResult {
  readonly stopped: boolean;
  readonly bytes: number;
  readonly millis: number;
}

/** The last words of a source whose guest stands still, in one command. */
export interface SwitchoverOrder {
  /** Of the transfer of the last pages; postcopy sends none, and says what is stale instead. */
  readonly transfer: number | undefined;
  /** Written after the pages, or after what is stale: device state comes last. */
  readonly frames: readonly Uint8Array[];
}

export interface SwitchoverResult extends TransferResult {
  readonly dirtiedPages: number;
  /** The parts of `millis`; what is left of it goes to the frames. */
  readonly syncMillis: number;
  readonly pagesMillis: number;
}

/**
 * What the main thread tells the ram-sender, through which every write to the main channel goes; and the
 * page-senders, of the same kind, each with a page channel: these are only told to transfer.
 */
export type RamSenderCommands = {
  /** The channel to write to, from now on. */
  attach: { argument: AttachOrder; answer: void };
  /** Answered as soon as the thread has started. */
  ready: { argument: undefined; answer: void };
  /** Begins to note writes; every page is dirty, those that exist are present. */
  track: { argument: undefined; answer: { dirtyPages: number } };
  sync: { argument: undefined; answer: { dirtyPages: number; dirtiedPages: number } };
  /** As `sync`, for pages that are not sent any more before the guest runs there: `DirtyLog.collect`. */
  collect: { argument: undefined; answer: { dirtiedPages: number } };
  /** How many pages a sync would find now. */
  look: { argument: undefined; answer: { writtenPages: number } };
  /** Stops noting writes. */
  untrack: { argument: undefined; answer: void };
  transfer: { argument: TransferOrder; answer: TransferResult };
  /** The guest stands still for good: finds what it wrote last, sends it or says that it is stale. */
  switchover: { argument: SwitchoverOrder; answer: SwitchoverResult };
  /** Tells the destination that what is dirty here is stale there; every page once. */
  discard: { argument: undefined; answer: void };
  /** Of each block, of a guest that stands still: `ramDigests`. */
  digest: { argument: undefined; answer: Uint8Array[] };
  write: { argument: readonly Uint8Array[]; answer: void };
  /** With `x-checksum`: writes frames; those written after them, heartbeats as well, are checked ones. */
  seal: { argument: readonly Uint8Array[]; answer: void };
};
