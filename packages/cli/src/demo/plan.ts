import type { MemoryMode } from '@godwit/core';
import type { Workload } from '@godwit/guest';

export interface DemoOptions {
  readonly memoryBytes: number;
  readonly transport: 'unix' | 'tcp';
  readonly workload: Workload;
  /** How often the link is cut in postcopy. */
  readonly cuts: number;
  /** Plain precopy: no postcopy, no cuts. */
  readonly precopy: boolean;
  /** Of both guests; left out, each chooses. */
  readonly memoryMode?: MemoryMode;
  readonly seed: number;
}

/** What makes a demo of any size worth watching: nothing over in a blink, nothing tedious. */
export interface DemoPlan {
  /** Pages/s that the guest writes. */
  readonly guestRate: number;
  /** Bytes/s of precopy. */
  readonly maxBandwidth: number;
  readonly downtimeLimitMillis: number;
}

/** Two processes, a relay and a screen on a small machine move no more than this, in bytes/s. */
const BANDWIDTH_MAX = 500e6;
const PASS_SECONDS = 0.8;
/** Between two cuts, and after the last. */
const STRETCH_SECONDS = 1;
const GUEST_RATE_MAX = 300_000;
const PAGE_BYTES = 4096;
/** Of the bandwidth: each pass is about this much of the one before. */
const DIRTY_SHARE = 0.35;

export function planDemo({ memoryBytes, precopy }: DemoOptions): DemoPlan {
  const maxBandwidth = Math.round(Math.min(BANDWIDTH_MAX, memoryBytes / PASS_SECONDS));
  if (precopy) {
    const guestRate = Math.max(1, Math.round((maxBandwidth * DIRTY_SHARE) / PAGE_BYTES));
    return { guestRate, maxBandwidth, downtimeLimitMillis: 5 };
  }
  // Fast enough to leave postcopy most of the memory; a limit of 0 never converges before it.
  const guestRate = Math.min(GUEST_RATE_MAX, Math.ceil((4 * memoryBytes) / PAGE_BYTES));
  return { guestRate, maxBandwidth, downtimeLimitMillis: 0 };
}

/** The bandwidth at which what remains lasts for all stretches, in bytes/s. */
export function postcopyBandwidth(remainingBytes: number, cuts: number): number {
  return Math.max(1e6, Math.round(remainingBytes / (STRETCH_SECONDS * (cuts + 1))));
}

/** @returns how much remains to be sent when the link is cut for the `cut`th time, from 1. */
export function remainingAtCut(remainingBytes: number, cut: number, cuts: number): number {
  return remainingBytes * (1 - cut / (cuts + 1));
}
