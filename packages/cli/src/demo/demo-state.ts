export type SideName = 'source' | 'destination';

/** All that a display shows; times are milliseconds since the demo began. */
export interface DemoState {
  readonly title: string;
  readonly elapsedMillis: number;
  readonly source: SideState;
  readonly destination: SideState;
  readonly phases: readonly PhaseState[];
  readonly log: readonly LogEntry[];
  /** Of the last moments. */
  readonly bytesPerSecond: number;
  readonly faults: FaultState;
}

export interface SideState {
  readonly pid: number;
  /** MigrationStatus, or `none`. */
  readonly status: string;
  /** RunState. */
  readonly runState: string;
}

export interface PhaseState {
  readonly name: string;
  /** What there was to send when it began; unknown until somebody has asked. */
  readonly totalBytes: number | undefined;
  readonly remainingBytes: number;
  readonly beganMillis: number;
  /** Undefined while it lasts. */
  readonly endedMillis: number | undefined;
  /** It ended before all was sent. */
  readonly isBroken: boolean;
  /** What is to be said of it: `cut`, `up in 3 ms`. */
  readonly note: string;
}

export interface LogEntry {
  readonly millis: number;
  readonly who: SideName | 'demo';
  readonly text: string;
}

export interface FaultState {
  readonly served: number;
  readonly p50Millis: number;
  readonly p99Millis: number;
}

/** How much of a phase is done, 0 to 1. */
export function shareOf({ totalBytes, remainingBytes, endedMillis, isBroken }: PhaseState): number {
  // A pass that ended has sent all it had, whatever remained when somebody last asked.
  if (endedMillis !== undefined && !isBroken) return 1;
  return totalBytes === undefined || totalBytes === 0 ? 0 : 1 - remainingBytes / totalBytes;
}
