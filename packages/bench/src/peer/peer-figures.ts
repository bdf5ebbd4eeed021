import type { MigrationRun, Run } from '../migrate/runs.ts';
import type { StallRun } from '../migrate/stalls.ts';
import { type Column, type Figure, figures, present, stallColumns } from '../migrate/summary.ts';
import type { PeerRun } from './peer-runs.ts';
import type { PeerRecovery } from './qemu-recovery.ts';
import type { PeerVariant } from './variants.ts';

/** A migration of QEMU's, and our own of the same run. */
interface Compared<Part> {
  readonly own: Part;
  readonly peer: Part;
}

/** The ratios are those of each run, before the median: the machine's own speed drifts between them. */
const migrationRatios: readonly Column<Compared<Pick<PeerRun, 'bytesPerSecond'>>>[] = [
  {
    key: 'ratio',
    label: 'GB/s, ours / QEMU',
    unit: '',
    of: ({ own, peer }) => own.bytesPerSecond / peer.bytesPerSecond,
  },
];

const stallRatios: readonly Column<Compared<StallRun>>[] = [
  {
    key: 'stall-p50-ratio',
    label: 'guest stalled, p50, ours / QEMU',
    unit: '',
    of: ({ own, peer }) => own.p50 / peer.p50,
  },
  {
    key: 'stall-p99-ratio',
    label: 'guest stalled, p99, ours / QEMU',
    unit: '',
    of: ({ own, peer }) => own.p99 / peer.p99,
  },
];

const peerRates: readonly Column<PeerRun>[] = [
  { key: 'rate', label: 'QEMU: migration', unit: 'GB/s', of: (run) => run.bytesPerSecond / 1e9 },
];

const peerRecoveryColumns: readonly Column<PeerRecovery>[] = [
  {
    key: 'resume-source',
    label: 'QEMU: resume to postcopy-active, source',
    unit: 'ms',
    of: (recovery) => recovery.source,
  },
  {
    key: 'resume-destination',
    label: 'QEMU: resume to postcopy-active, destination',
    unit: 'ms',
    of: (recovery) => recovery.destination,
  },
];

const peerColumns: readonly Column<PeerRun>[] = [
  { key: 'duration', label: 'QEMU: duration', unit: 'ms', of: (run) => run.millis },
  { key: 'downtime', label: 'QEMU: downtime', unit: 'ms', of: (run) => run.downtimeMillis },
  { key: 'passes', label: 'QEMU: passes', unit: '', of: (run) => run.passes },
  {
    key: 'cpu-source',
    label: 'QEMU: CPU, source',
    unit: 's/GiB',
    of: (run) => run.cpuSecondsPerGib.source,
  },
  {
    key: 'cpu-destination',
    label: 'QEMU: CPU, destination',
    unit: 's/GiB',
    of: (run) => run.cpuSecondsPerGib.destination,
  },
];

const peerStallColumns: readonly Column<StallRun>[] = [
  { key: 'faults', label: 'QEMU: remote faults', unit: '', of: (run) => run.faults },
  ...stallColumns.map(({ key, label, unit, of }) => ({ key, label: `QEMU: ${label}`, unit, of })),
];

/** The figures of what was compared with: each variant in turn, none without a peer. */
export function summarizePeers(runs: readonly Run[]): Figure[] {
  const variants = runs[0]?.peers?.map(({ variant }) => variant) ?? [];
  return variants.flatMap((variant) => summarizeVariant(runs, variant));
}

function summarizeVariant(runs: readonly Run[], variant: PeerVariant): Figure[] {
  const compared = present(runs.map((run) => comparedWith(run, variant)));
  const peers = compared.map(({ peer }) => peer);
  const recoveries = present(peers.map(({ recovery }) => recovery));
  // As with ours: what was held back and interrupted has no throughput.
  const isWhole = recoveries.length === 0;
  const all = [
    ...figures(migrationRatios, isWhole ? compared : []),
    ...figures(stallRatios, isWhole ? present(compared.map(comparedStalls)) : []),
    ...figures(peerRates, isWhole ? peers : []),
    ...figures(peerRecoveryColumns, recoveries),
    ...figures(peerColumns, peers),
    ...figures(peerStallColumns, present(peers.map(({ stalls }) => stalls))),
  ];
  return all.map((figure) => nameAfter(variant, figure));
}

function comparedWith(
  { migration, peers }: Run,
  { key }: PeerVariant,
): { readonly own: MigrationRun; readonly peer: PeerRun } | undefined {
  const peer = peers?.find(({ variant }) => variant.key === key);
  return peer === undefined ? undefined : { own: migration, peer };
}

/** @returns undefined when one of the guests missed no page: there is nothing to divide by. */
function comparedStalls({
  own,
  peer,
}: Compared<{ readonly stalls?: StallRun }>): Compared<StallRun> | undefined {
  const [ours, theirs] = [own.stalls, peer.stalls];
  if (ours === undefined || theirs === undefined) return undefined;
  return ours.faults > 0 && theirs.faults > 0 ? { own: ours, peer: theirs } : undefined;
}

function nameAfter({ key, label }: PeerVariant, figure: Figure): Figure {
  return {
    ...figure,
    key: `${key}-${figure.key}`,
    label: figure.label.replace('QEMU', label),
  };
}
