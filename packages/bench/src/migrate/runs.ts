import type { DowntimeParts } from '@godwit/core';

import type { PeerRun } from '../peer/peer-runs.ts';
import type { StallRun } from './stalls.ts';

/** Bytes of the guest that the destination had at a time since the first page. */
export interface Sample {
  readonly millis: number;
  readonly bytes: number;
}

export interface CpuSeconds {
  readonly source: number;
  readonly destination: number;
}

/** One raw pump of as many bytes as the guest has. */
export interface PumpRun {
  /** What was pumped how, as `pumpName` says it. */
  readonly name: string;
  readonly millis: number;
  readonly bytesPerSecond: number;
  readonly cpuSecondsPerGib: CpuSeconds;
}

/** Latencies in microseconds. */
export interface FaultRun {
  readonly faults: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
  /** [n]: from 2^n to 2^(n+1) microseconds. */
  readonly distribution: readonly number[];
  readonly blocktimeMillis: number;
}

export interface RecoveryRun {
  /** From the command to resume to postcopy-active. */
  readonly resumeMillis: { readonly source: number; readonly destination: number };
  /** From the cut to the first page that came over the new link. */
  readonly firstPageMillis: number;
  /** On the clock of the samples. */
  readonly cutAtMillis: number;
  readonly resumedAtMillis: number;
}

/** One migration; absent is what its mode does not have. */
export interface MigrationRun {
  /** Precopy: from the first page to completed. Postcopy: from the guest running there. */
  readonly millis: number;
  readonly bytesPerSecond: number;
  readonly cpuSecondsPerGib: CpuSeconds;
  readonly downtimeMillis: number;
  readonly downtimeParts?: DowntimeParts;
  readonly passes: number;
  readonly samples: readonly Sample[];
  readonly faults?: FaultRun;
  /** What the guest itself noticed of them. */
  readonly stalls?: StallRun;
  readonly recovery?: RecoveryRun;
}

/** Both, one right after the other, so that they had the same machine. */
export interface Run {
  readonly migration: MigrationRun;
  /** None in recovery, where the bulk is held back. */
  readonly pump?: PumpRun;
  /** What else was asked for to compare with, a run of each variant. */
  readonly peers?: readonly PeerRun[];
}
