import type { RamBlock } from './memory/ram-block.ts';

/**
 * What is migrated, as the engine sees it: RAM, vCPUs that stop and go, and device state. The
 * engine moves the RAM by its addresses; what device state means is the guest's own affair.
 */
export interface Guest {
  /**
   * In a fixed order, the same on both sides: a block is known by its id and its index. Blocks of portable
   * memory (`RamBlock.portable`) say that this guest touches them by `RamAccess` alone; any other is
   * watched by the kernel. The two sides need not agree. Where a guest is to arrive it is fresh, or emptied by
   * `emptyRam`: what another guest has left there would stay in pages that arrive as zero.
   */
  readonly ram: readonly RamBlock[];

  /** Do the vCPUs run, or are they meant to? A guest that was paused arrives paused. */
  readonly running: boolean;

  /**
   * While a migration holds it still: is it to run where it arrives? Looked at last when the order to run
   * leaves. Left out: as it ran before the migration stopped it.
   */
  readonly wanted?: boolean;

  /**
   * Stops every vCPU; idempotent.
   *
   * @returns when all have stopped: from then on RAM and device state are still.
   */
  pause(): Promise<void>;

  /** Starts every vCPU; idempotent. @returns when all run. */
  resume(): Promise<void>;

  /**
   * Slows the vCPUs down, whether they run now or later: each loses `percentage` of its time, in short
   * slices; 0 lifts it. Takes effect soon, and is never waited for. A guest without it cannot leave
   * with the capability `auto-converge`.
   *
   * @param percentage a whole number from 0 to 99.
   */
  throttle?(percentage: number): void;

  /**
   * Stops every vCPU that can be stopped, while pages are missing and none comes: the others wait for one.
   * A vCPU that waits counts as standing before the step that it waits in, which it makes, all of it, once
   * the page is there. A guest without it cannot have a journal.
   *
   * @param isWaiting does the thread of this id (gettid(2)) wait for a missing page? It may be asked again
   *   soon after a no.
   * @returns device state as of `saveDeviceState`; from here to `thaw` it stays true, and RAM is still.
   */
  freeze?(isWaiting: (threadId: number) => boolean): Promise<Uint8Array>;

  /** Lets the guest go on as it was before `freeze`. */
  thaw?(): void;

  /** Everything but RAM, as an opaque document. Called on a stopped guest only. */
  saveDeviceState(): Uint8Array;

  /**
   * Takes over a document made by `saveDeviceState` elsewhere; must not touch guest RAM, whose
   * pages may be missing. Called on a stopped guest only; `resume` then continues from there.
   *
   * @throws when the document is not one of this kind of guest; the guest is then unchanged.
   */
  loadDeviceState(state: Uint8Array): void;
}
