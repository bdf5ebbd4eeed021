import type { CpuSeconds, Run } from '../migrate/runs.ts';
import type { StallRun } from '../migrate/stalls.ts';
import type { PeerRun } from '../peer/peer-runs.ts';
import type { Target, TargetFigure } from './target-spec.ts';

/** What a figure is; its targets are the job's. */
type FigureKind = (...targets: readonly Target[]) => TargetFigure;

export const rate: FigureKind = (...targets) => ({
  key: 'rate',
  label: 'migration',
  unit: 'GB/s',
  of: (run) => ({
    ours: run.migration.bytesPerSecond / 1e9,
    limit: scaled(run.pump?.bytesPerSecond, 1e-9),
    peer: scaled(peerOf(run)?.bytesPerSecond, 1e-9),
  }),
  targets,
});

export const cpu: FigureKind = (...targets) => ({
  key: 'cpu',
  label: 'CPU, both sides',
  unit: 's/GiB',
  of: (run) => ({
    ours: bothSides(run.migration.cpuSecondsPerGib),
    limit: run.pump && bothSides(run.pump.cpuSecondsPerGib),
    peer: bothSidesOf(peerOf(run)),
  }),
  targets,
});

/** @param usedBytes of a guest of which the rest was never touched: the seconds are not per GiB. */
export const cpuOfAll = (usedBytes: number): TargetFigure => ({
  key: 'cpu',
  label: 'CPU, both sides',
  unit: 's',
  of: ({ migration }) => ({
    ours: (bothSides(migration.cpuSecondsPerGib) * usedBytes) / 2 ** 30,
  }),
  targets: [],
});

/** Beside no pump: the job is not to move bytes. */
export const duration: FigureKind = (...targets) => ({
  key: 'duration',
  label: 'duration',
  unit: 'ms',
  of: (run) => ({ ours: run.migration.millis, peer: peerOf(run)?.millis }),
  targets,
});

export const postcopyDuration: FigureKind = (...targets) => ({
  key: 'duration',
  label: 'guest runs to completed',
  unit: 'ms',
  of: (run) => ({
    ours: run.migration.millis,
    limit: run.pump?.millis,
    peer: peerOf(run)?.millis,
  }),
  targets,
});

export const downtime: FigureKind = (...targets) => ({
  key: 'downtime',
  label: 'downtime',
  unit: 'ms',
  of: (run) => ({ ours: run.migration.downtimeMillis, peer: peerOf(run)?.downtimeMillis }),
  targets,
});

export const stallP50: FigureKind = (...targets) => ({
  key: 'stall-p50',
  label: 'guest stalled, p50',
  unit: 'µs',
  of: (run) => stalled(run, ({ p50 }) => p50),
  targets,
});

export const stallP99: FigureKind = (...targets) => ({
  key: 'stall-p99',
  label: 'guest stalled, p99',
  unit: 'µs',
  of: (run) => stalled(run, ({ p99 }) => p99),
  targets,
});

export const resume: FigureKind = (...targets) => ({
  key: 'resume',
  label: 'resume to active, both sides',
  unit: 'ms',
  of: (run) => {
    const { recovery } = run.migration;
    if (recovery === undefined) return undefined;
    const theirs = peerOf(run)?.recovery;
    const ours = Math.max(recovery.resumeMillis.source, recovery.resumeMillis.destination);
    return { ours, peer: theirs && Math.max(theirs.source, theirs.destination) };
  },
  targets,
});

/** QEMU does not tell when a page arrived. */
export const firstPage: FigureKind = (...targets) => ({
  key: 'first-page',
  label: 'cut to first page',
  unit: 'ms',
  of: ({ migration: { recovery } }) => recovery && { ours: recovery.firstPageMillis },
  targets,
});

export const dirtySync = (...targets: readonly Target[]): TargetFigure<number> => ({
  key: 'sync',
  label: 'one sync',
  unit: 'ms',
  of: (millis) => ({ ours: millis }),
  targets,
});

export function atMost(value: number): Target {
  return { of: 'ours', bound: 'at-most', value };
}

/** In no run. */
export function never(value: number): Target {
  return { of: 'ours', bound: 'at-most', value, inEveryRun: true };
}

export function ofTheLimit(value: number): Target {
  return { of: 'limit', bound: 'at-least', value };
}

export function timesQemu(value: number): Target {
  return { of: 'peer', bound: 'at-least', value };
}

export function neverAboveQemu(): Target {
  return { of: 'peer', bound: 'at-most', value: 1, inEveryRun: true };
}

/** Its way that is most like ours: in postcopy the one with a channel for what is urgent. */
function peerOf({ peers }: Run): PeerRun | undefined {
  return peers?.find(({ variant }) => variant.preempt || !variant.postcopy);
}

/** Nothing, where no page was missed: that is no stall of no length. */
function stalled(run: Run, of: (stalls: StallRun) => number) {
  const ours = run.migration.stalls;
  const theirs = peerOf(run)?.stalls;
  if (ours === undefined || ours.faults === 0) return undefined;
  return { ours: of(ours), peer: theirs && theirs.faults > 0 ? of(theirs) : undefined };
}

function bothSides({ source, destination }: CpuSeconds): number {
  return source + destination;
}

function bothSidesOf(peer: PeerRun | undefined): number | undefined {
  return peer && bothSides(peer.cpuSecondsPerGib);
}

function scaled(value: number | undefined, factor: number): number | undefined {
  return value === undefined ? undefined : value * factor;
}
