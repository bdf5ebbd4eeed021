import type { Run } from '../migrate/runs.ts';
import { type Column, type Figure, figures, present } from '../migrate/summary.ts';
import type { PeerRun } from './peer-runs.ts';
import type { StallRun } from './stalls.ts';
import type { PeerVariant } from './variants.ts';

/** A run of QEMU's, and our own of the same moment. */
interface Compared {
  readonly peer: PeerRun;
  readonly rate: number;
}

/** Keys and labels follow those of the variant. */
const comparedColumns: readonly Column<Compared>[] = [
  { key: 'rate', label: 'migration', unit: 'GB/s', of: ({ peer }) => peer.bytesPerSecond / 1e9 },
  // Run by run, before the median: the machine's own speed drifts between them.
  { key: 'ratio', label: 'ours, times as fast', unit: '', of: ratio },
  { key: 'duration', label: 'duration', unit: 'ms', of: ({ peer }) => peer.millis },
  { key: 'downtime', label: 'downtime', unit: 'ms', of: ({ peer }) => peer.downtimeMillis },
  { key: 'passes', label: 'passes', unit: '', of: ({ peer }) => peer.passes },
  {
    key: 'cpu-source',
    label: 'CPU, source',
    unit: 's/GiB',
    of: ({ peer }) => peer.cpuSecondsPerGib.source,
  },
  {
    key: 'cpu-destination',
    label: 'CPU, destination',
    unit: 's/GiB',
    of: ({ peer }) => peer.cpuSecondsPerGib.destination,
  },
];

const stallColumns: readonly Column<StallRun>[] = [
  { key: 'faults', label: 'remote faults', unit: '', of: (run) => run.faults },
  { key: 'stall-p50', label: 'guest stalled, p50', unit: 'µs', of: (run) => run.p50 },
  { key: 'stall-p90', label: 'guest stalled, p90', unit: 'µs', of: (run) => run.p90 },
  { key: 'stall-p99', label: 'guest stalled, p99', unit: 'µs', of: (run) => run.p99 },
  { key: 'stall-max', label: 'guest stalled, max', unit: 'µs', of: (run) => run.max },
];

/** The figures of what was compared with: each variant in turn, none without a peer. */
export function summarizePeers(runs: readonly Run[]): Figure[] {
  const variants = runs[0]?.peers?.map(({ variant }) => variant) ?? [];
  return variants.flatMap((variant) => summarizeVariant(runs, variant));
}

function summarizeVariant(runs: readonly Run[], { key, label }: PeerVariant): Figure[] {
  const compared = present(runs.map((run) => comparedWith(run, key)));
  const stalls = present(compared.map(({ peer }) => peer.stalls));
  return [
    ...figures(named(comparedColumns, key, label), compared),
    ...figures(named(stallColumns, key, label), stalls),
  ];
}

function ratio({ peer, rate }: Compared): number {
  return rate / peer.bytesPerSecond;
}

function comparedWith({ migration, peers }: Run, key: string): Compared | undefined {
  const peer = peers?.find(({ variant }) => variant.key === key);
  return peer === undefined ? undefined : { peer, rate: migration.bytesPerSecond };
}

function named<Part>(
  columns: readonly Column<Part>[],
  keyPrefix: string,
  labelPrefix: string,
): Column<Part>[] {
  return columns.map((column) => ({
    ...column,
    key: `${keyPrefix}-${column.key}`,
    label: `${labelPrefix}: ${column.label}`,
  }));
}
