import { benchMigrate } from '../migrate/bench-migrate.ts';
import { describeMachine } from '../migrate/machine.ts';
import {
  checkRuns,
  defaultGuest,
  type MigrateBenchOptions,
  type PeerOptions,
} from '../migrate/options.ts';
import { findQemu } from '../peer/find-qemu.ts';
import { PeerError } from '../peer/open-peer.ts';
import type { PeerDescription } from '../peer/peer-runs.ts';
import type { SourceCommands } from '../side/side-api.ts';
import { SideProcess } from '../side/side-process.ts';
import { type JudgedFigure, judgeFigure } from './judge.ts';
import type { DirtySyncSpec, MigrateSpec, TargetSpec } from './target-spec.ts';

export interface TargetsOptions {
  /** `targetSpecs`, or some of them. */
  readonly specs: readonly TargetSpec[];
  readonly runs: number;
  /** Measured in turn with ours, wherever it can do the job. */
  readonly peer?: PeerOptions;
}

/** What became of a job. */
export interface TargetRow {
  readonly key: string;
  readonly label: string;
  /** None of a job that failed. */
  readonly figures: readonly JudgedFigure[];
  /** Why there is nothing to tell. */
  readonly failed?: string;
  /** Why the other engine is left out, which cannot do this job: ours was measured alone. */
  readonly peerFailed?: string;
}

export interface TargetsResult {
  readonly machine: string;
  readonly runs: number;
  /** When there should be one to compare with. */
  readonly peer?: PeerDescription;
  readonly rows: readonly TargetRow[];
}

export interface TargetsHooks {
  /** Ends everything with its reason. */
  readonly signal: AbortSignal;
  /** After each run of a migration, counted from 0. */
  readonly onRun?: (spec: TargetSpec, index: number) => void;
  /** After each job. */
  readonly onRow?: (row: TargetRow) => void;
}

/** What became of a job, and what it was compared with. */
interface Outcome {
  readonly figures: readonly JudgedFigure[];
  readonly failed?: string;
  readonly peerFailed?: string;
  readonly peer?: PeerDescription;
}

const STEP_LIMIT_MILLIS = 120_000;

/**
 * Measures jobs, one after the other, and judges each by its targets. One that fails is told of, and
 * the others go on.
 *
 * @throws {RangeError} the options ask for what is not possible.
 * @throws {Error} the signal's reason.
 */
export async function benchTargets(
  options: TargetsOptions,
  hooks: TargetsHooks,
): Promise<TargetsResult> {
  const { specs, runs } = options;
  checkRuns(runs);
  if (options.peer !== undefined) await findQemu(options.peer.command); // before all jobs, not in each
  const rows: TargetRow[] = [];
  let description: PeerDescription | undefined;
  for (const spec of specs) {
    const { key, label } = spec;
    const { peer, ...rest } = await measureOrFail(spec, options, hooks);
    description ??= peer;
    const row = { key, label, ...rest };
    rows.push(row);
    hooks.onRow?.(row);
  }
  const peer = description === undefined ? {} : { peer: description };
  return { machine: describeMachine(), runs, ...peer, rows };
}

async function measureOrFail(
  spec: TargetSpec,
  options: TargetsOptions,
  hooks: TargetsHooks,
): Promise<Outcome> {
  try {
    if (spec.type === 'dirty-sync') return await measureDirtySyncs(spec, hooks);
    return await measureWithPeer(spec, options, hooks);
  } catch (error) {
    hooks.signal.throwIfAborted();
    return { figures: [], failed: (error as Error).message };
  }
}

/** Once more without the peer, if it was the peer that failed. */
async function measureWithPeer(
  spec: MigrateSpec,
  options: TargetsOptions,
  hooks: TargetsHooks,
): Promise<Outcome> {
  try {
    return await measureMigrations(spec, options, hooks);
  } catch (error) {
    if (!(error instanceof PeerError)) throw error;
    hooks.signal.throwIfAborted();
    const { specs, runs } = options;
    const outcome = await measureMigrations(spec, { specs, runs }, hooks);
    return { ...outcome, peerFailed: error.message };
  }
}

async function measureMigrations(
  spec: MigrateSpec,
  options: TargetsOptions,
  { signal, onRun }: TargetsHooks,
): Promise<Outcome> {
  const { runs, peer } = await benchMigrate(migrateOptions(spec, options), {
    signal,
    onRun: (_, index) => onRun?.(spec, index),
  });
  const figures = spec.figures.map((figure) => judgeFigure(figure, runs));
  return peer === undefined ? { figures } : { figures, peer };
}

function migrateOptions(
  { options }: MigrateSpec,
  { runs, peer }: TargetsOptions,
): MigrateBenchOptions {
  const job = {
    memoryBytes: 2 ** 30,
    channels: 1,
    fresh: false,
    downtimeLimitMillis: 300,
    postcopyBandwidth: 0,
    ...defaultGuest(options.mode),
    ...options,
    runs,
  };
  // QEMU's guest has no memory that it does not fill.
  const isPossible = (options.untouchedBytes ?? 0) === 0;
  return peer !== undefined && isPossible ? { ...job, peer } : job;
}

/** In a process of its own, which may need more memory than there is. */
async function measureDirtySyncs(
  { memoryBytes, figures }: DirtySyncSpec,
  { signal }: TargetsHooks,
): Promise<Outcome> {
  await using source = new SideProcess<SourceCommands>('source', {
    limitMillis: STEP_LIMIT_MILLIS,
    signal,
  });
  const millis = await source.call('scatteredSyncs', memoryBytes);
  return { figures: figures.map((figure) => judgeFigure(figure, millis)) };
}
