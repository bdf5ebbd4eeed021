import { downtimePartNames, type DowntimeParts } from '@godwit/core';

import type { FaultRun, MigrationRun, PumpRun, RecoveryRun, Run } from './runs.ts';
import type { StallRun } from './stalls.ts';
import { type Spread, spreadOf } from './statistics.ts';

/** One thing that was measured in every run. */
export interface Figure extends Spread {
  /** For programs; does not change. */
  readonly key: string;
  /** For people. */
  readonly label: string;
  readonly unit: string;
}

/** How a figure is found in each run. */
export interface Column<Part> {
  readonly key: string;
  readonly label: string;
  readonly unit: string;
  readonly of: (part: Part) => number;
}

const migrationColumns: readonly Column<MigrationRun>[] = [
  { key: 'rate', label: 'migration', unit: 'GB/s', of: (run) => run.bytesPerSecond / 1e9 },
];

/** @param name of the pump. */
const pumpColumn = (name: string): Column<PumpRun> => ({
  key: 'limit',
  label: `${name}: the limit`,
  unit: 'GB/s',
  of: (run) => run.bytesPerSecond / 1e9,
});

const costColumns: readonly Column<MigrationRun>[] = [
  { key: 'duration', label: 'duration', unit: 'ms', of: (run) => run.millis },
  { key: 'downtime', label: 'downtime', unit: 'ms', of: (run) => run.downtimeMillis },
  { key: 'passes', label: 'passes', unit: '', of: (run) => run.passes },
  {
    key: 'cpu-source',
    label: 'CPU, source',
    unit: 's/GiB',
    of: (run) => run.cpuSecondsPerGib.source,
  },
  {
    key: 'cpu-destination',
    label: 'CPU, destination',
    unit: 's/GiB',
    of: (run) => run.cpuSecondsPerGib.destination,
  },
];

const downtimeColumns: readonly Column<DowntimeParts>[] = downtimePartNames.map((name) => ({
  key: `downtime-${name}`,
  label: `downtime, ${name}`,
  unit: 'ms',
  of: (parts) => parts[name] / 1000,
}));

const pumpCostColumns: readonly Column<PumpRun>[] = [
  {
    key: 'limit-cpu-source',
    label: 'CPU, pump, source',
    unit: 's/GiB',
    of: (run) => run.cpuSecondsPerGib.source,
  },
  {
    key: 'limit-cpu-destination',
    label: 'CPU, pump, destination',
    unit: 's/GiB',
    of: (run) => run.cpuSecondsPerGib.destination,
  },
];

const faultColumns: readonly Column<FaultRun>[] = [
  { key: 'faults', label: 'remote faults', unit: '', of: (run) => run.faults },
  { key: 'fault-p50', label: 'fault latency, p50', unit: 'µs', of: (run) => run.p50 },
  { key: 'fault-p90', label: 'fault latency, p90', unit: 'µs', of: (run) => run.p90 },
  { key: 'fault-p99', label: 'fault latency, p99', unit: 'µs', of: (run) => run.p99 },
  { key: 'fault-max', label: 'fault latency, max', unit: 'µs', of: (run) => run.max },
  { key: 'blocktime', label: 'blocktime', unit: 'ms', of: (run) => run.blocktimeMillis },
];

export const stallColumns: readonly Column<StallRun>[] = [
  { key: 'stall-p50', label: 'guest stalled, p50', unit: 'µs', of: (run) => run.p50 },
  { key: 'stall-p90', label: 'guest stalled, p90', unit: 'µs', of: (run) => run.p90 },
  { key: 'stall-p99', label: 'guest stalled, p99', unit: 'µs', of: (run) => run.p99 },
  { key: 'stall-max', label: 'guest stalled, max', unit: 'µs', of: (run) => run.max },
];

const recoveryColumns: readonly Column<RecoveryRun>[] = [
  {
    key: 'resume-source',
    label: 'resume to postcopy-active, source',
    unit: 'ms',
    of: (run) => run.resumeMillis.source,
  },
  {
    key: 'resume-destination',
    label: 'resume to postcopy-active, destination',
    unit: 'ms',
    of: (run) => run.resumeMillis.destination,
  },
  {
    key: 'first-page',
    label: 'cut to first page after resume',
    unit: 'ms',
    of: (run) => run.firstPageMillis,
  },
];

/** Medians over the runs, in the order in which they read best. */
export function summarize(runs: readonly Run[]): Figure[] {
  const migrations = runs.map((run) => run.migration);
  const pumps = present(runs.map((run) => run.pump));
  const faults = present(migrations.map((run) => run.faults));
  const stalls = present(migrations.map((run) => run.stalls));
  const recoveries = present(migrations.map((run) => run.recovery));
  // Held back until the cut, and interrupted: its throughput is no measure of anything.
  const rates = recoveries.length > 0 ? [] : migrations;
  return [
    ...figures(migrationColumns, rates),
    ...figures([pumpColumn(pumps[0]?.name ?? '')], pumps),
    ...figures([ratioColumn], present(runs.map(rateAndLimit))),
    ...figures(recoveryColumns, recoveries),
    ...figures(costColumns, migrations),
    ...figures(downtimeColumns, present(migrations.map((run) => run.downtimeParts))),
    ...figures(pumpCostColumns, pumps),
    ...figures(faultColumns, faults),
    ...figures(stallColumns, stalls),
  ];
}

interface RateAndLimit {
  readonly rate: number;
  readonly limit: number;
}

/** Run by run, before the median: the machine's own speed drifts between them. */
const ratioColumn: Column<RateAndLimit> = {
  key: 'ratio',
  label: 'of the limit',
  unit: '',
  of: ({ rate, limit }) => rate / limit,
};

function rateAndLimit({ migration, pump }: Run): RateAndLimit | undefined {
  if (pump === undefined) return undefined;
  return { rate: migration.bytesPerSecond, limit: pump.bytesPerSecond };
}

/** None without parts: what was not measured is not shown. */
export function figures<Part>(columns: readonly Column<Part>[], parts: readonly Part[]): Figure[] {
  if (parts.length === 0) return [];
  return columns.map(({ key, label, unit, of }) => ({
    key,
    label,
    unit,
    ...spreadOf(parts.map(of)),
  }));
}

export function present<Value>(values: readonly (Value | undefined)[]): Value[] {
  return values.filter((value) => value !== undefined);
}
