import type { Guest } from '@godwit/core';

/** A guest as a machine wants it: the engine's, and what `stop` and `x-guest-verify` ask for. */
export interface MachineGuest extends Guest {
  /**
   * @param options.signal ends the waiting with its reason, for a vCPU may hang in a page fault. The
   *   request stays: each vCPU stops when it can.
   */
  pause(options?: { readonly signal?: AbortSignal }): Promise<void>;

  /**
   * @param options.signal ends the waiting with its reason, as of `pause`: what was not started by then is not
   *   started later.
   */
  resume(options?: { readonly signal?: AbortSignal }): Promise<void>;

  /** The device state of a guest that was told to pause, while pages are missing: as of `Guest.freeze`. */
  frozenState?(isWaiting: (threadId: number) => boolean): Promise<Uint8Array>;

  /** Proves, on a stopped guest whose pages are all here, that every byte is what it must be. */
  verify?(): Promise<VerifyResult>;
}

export interface VerifyResult {
  readonly ok: boolean;
  readonly pagesChecked: number;
  readonly pagesBad: number;
  /** The first few. */
  readonly badPages: readonly {
    readonly block: string;
    /** In the block. */
    readonly page: number;
    /** Of the first wrong byte, in the page. */
    readonly offset: number;
    readonly reason: string;
  }[];
  /** Of each vCPU. */
  readonly steps: readonly number[];
}
