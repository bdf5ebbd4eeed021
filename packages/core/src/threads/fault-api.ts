import type { ThreadWaits } from '../memory/blocktime.ts';
import type { ReceivedBuffers } from '../memory/received-pages.ts';
import type { RamBlock } from '../memory/ram-block.ts';

export interface FaultData {
  readonly blocks: readonly RamBlock[];
  readonly received: ReceivedBuffers;
  readonly requested: readonly SharedArrayBuffer[];
  /** Every page that was ever asked for: the fault thread's, read by the main thread. */
  readonly faulted: readonly SharedArrayBuffer[];
  /** Pages that arrived damaged, to be asked for again. */
  readonly damaged: readonly SharedArrayBuffer[];
  readonly ledger: SharedArrayBuffer;
  readonly counters: SharedArrayBuffer;
  readonly histogram: SharedArrayBuffer;
  readonly eventfd: number;
  readonly vcpus: number;
}

export type FaultCommands = {
  /** Missing pages are noticed through this userfaultfd; -1: none, or no more. */
  watch: { argument: number; answer: void };
  /** Takes over the writer of the guardian's pipe, for as long as this thread lives; see `Guardian`. */
  guard: { argument: number; answer: number };
  /** The return path; -1: none, faults are kept until there is one again. */
  attach: { argument: number; answer: void };
  /** Writes frames to the return path. */
  write: { argument: readonly Uint8Array[]; answer: void };
  /** From now on, every so many milliseconds, until another return path is attached; 0: none. */
  beat: { argument: number; answer: void };
  /** Asks for every page that was asked for and has not come; and from now on for new ones. */
  serve: { argument: undefined; answer: void };
  /** With `x-checksum`: writes frames; those written after them, heartbeats as well, are checked ones. */
  seal: { argument: readonly Uint8Array[]; answer: void };
  /** Asks for the pages that arrived damaged. */
  resend: { argument: undefined; answer: void };
  /** What each vCPU's thread has waited. */
  blocktime: { argument: undefined; answer: readonly ThreadWaits[] };
};

/** The link broke under a page request. */
export interface FaultEvent {
  readonly type: 'link-lost';
  readonly message: string;
}
