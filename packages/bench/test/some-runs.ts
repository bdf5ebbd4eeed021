import type { MigrateBenchOptions } from '../src/migrate/options.ts';
import type { FaultRun, MigrationRun, PumpRun } from '../src/migrate/runs.ts';

export const someOptions: MigrateBenchOptions = {
  mode: 'precopy',
  transport: 'unix',
  memoryBytes: 2 ** 30,
  channels: 1,
  workload: 'idle',
  rate: 0,
  runs: 3,
  fresh: false,
  downtimeLimitMillis: 300,
  postcopyBandwidth: 0,
};

export function somePump(bytesPerSecond: number): PumpRun {
  return {
    name: 'raw pump',
    millis: 100,
    bytesPerSecond,
    cpuSecondsPerGib: { source: 0.1, destination: 0.2 },
  };
}

/** 400 MB in 400 ms, in steps of 10 ms. */
export function someMigration(bytesPerSecond: number): MigrationRun {
  return {
    millis: 400,
    bytesPerSecond,
    cpuSecondsPerGib: { source: 0.3, destination: 0.4 },
    downtimeMillis: 5,
    passes: 3,
    samples: Array.from({ length: 41 }, (_, i) => ({ millis: i * 10, bytes: i * 10_000_000 })),
  };
}

export const someFaults: FaultRun = {
  faults: 117,
  p50: 38,
  p90: 90,
  p99: 900,
  max: 2100,
  distribution: [0, 0, 0, 0, 0, 100, 10, 0, 0, 6, 0, 1],
  blocktimeMillis: 12,
};
