import { totalmem } from 'node:os';

import {
  benchMigrate,
  type MigrateBenchHooks,
  type MigrateBenchResult,
} from '../migrate/bench-migrate.ts';
import { describeMachine } from '../migrate/machine.ts';
import { type BenchTransport, defaultGuest, type MigrateBenchOptions } from '../migrate/options.ts';
import { type Spread, spreadOf } from '../migrate/statistics.ts';
import type { SourceCommands } from '../side/side-api.ts';
import { SideProcess } from '../side/side-process.ts';

export interface ScaleOptions {
  /** Of the guests, each a whole number of 16 MiB and at least 32 MiB. */
  readonly sizes: readonly number[];
  readonly transport: BenchTransport;
  readonly channels: number;
  readonly runs: number;
}

/** What a guest of one size costs. */
export interface ScaleRow {
  readonly memoryBytes: number;
  /** Of that: non-zero, and on both sides in the end. The rest was never touched. */
  readonly nonZeroBytes: number;
  /** Precopy, per GiB that is not zero: a quotient, so that sizes compare. */
  readonly millisPerGib: Spread;
  readonly cpuSecondsPerGib: Spread;
  readonly ratio: Spread;
  /** Precopy of a guest of this size of which hardly anything was touched. */
  readonly untouchedMillis: Spread;
  /** Dirty sync of a guest of this size, all touched. */
  readonly idleSyncMillis: Spread;
  /** From the command to resume to postcopy-active on both sides, of what precopy has moved. */
  readonly resumeMillis: Spread;
}

export interface ScaleResult {
  readonly machine: string;
  readonly options: ScaleOptions;
  readonly rows: readonly ScaleRow[];
}

export interface ScaleHooks {
  readonly signal: AbortSignal;
  /** After each size. */
  readonly onRow?: (row: ScaleRow) => void;
}

const UNIT_BYTES = 2 ** 24;
const STEP_LIMIT_MILLIS = 120_000;
/** Both sides hold what is not zero: together five sixths of the machine, so that it need not swap. */
const NON_ZERO_SHARE_MAX = 5 / 12;
/** For the dirty sync one process holds a whole guest, all touched. */
const TOUCHED_SHARE_MAX = 2 * NON_ZERO_SHARE_MAX;

/**
 * Measures what a gigabyte costs in guests of several sizes: it should be the same.
 *
 * @throws {RangeError} the options ask for what is not possible.
 * @throws {Error} as `benchMigrate` does.
 */
export async function benchScale(
  options: ScaleOptions,
  { signal, onRow }: ScaleHooks,
): Promise<ScaleResult> {
  checkSizes(options.sizes);
  const rows: ScaleRow[] = [];
  for (const memoryBytes of options.sizes) {
    const row = await measureSize(memoryBytes, options, { signal });
    rows.push(row);
    onRow?.(row);
  }
  return { machine: describeMachine(), options, rows };
}

async function measureSize(
  memoryBytes: number,
  options: ScaleOptions,
  hooks: MigrateBenchHooks,
): Promise<ScaleRow> {
  const { transport, channels, runs } = options;
  const nonZeroBytes = Math.min(memoryBytes, nonZeroBytesMax());
  const bench = async (mode: MigrateBenchOptions['mode'], used: number) => {
    const memory = { memoryBytes: used, untouchedBytes: memoryBytes - used };
    const limits = { downtimeLimitMillis: 300, postcopyBandwidth: 0, fresh: false };
    const plan = { mode, ...memory, transport, channels, runs, ...limits, ...defaultGuest(mode) };
    return await benchMigrate(plan, hooks);
  };
  const precopy = await bench('precopy', nonZeroBytes);
  const untouched = await bench('precopy', UNIT_BYTES);
  const recovery = await bench('recovery', nonZeroBytes);
  const migrations = precopy.runs.map((run) => run.migration);
  const cpu = migrations.map((run) => run.cpuSecondsPerGib);
  return {
    memoryBytes,
    nonZeroBytes,
    millisPerGib: spreadOf(migrations.map(({ millis }) => (millis / nonZeroBytes) * 2 ** 30)),
    cpuSecondsPerGib: spreadOf(cpu.map((it) => it.source + it.destination)),
    ratio: figureOf(precopy, 'ratio'),
    untouchedMillis: figureOf(untouched, 'duration'),
    idleSyncMillis: spreadOf(await measureIdleSyncs(memoryBytes, hooks.signal)),
    resumeMillis: spreadOf(recovery.runs.map(({ migration }) => slowerResume(migration))),
  };
}

/** What both sides can hold at the same time, in whole units. */
function nonZeroBytesMax(): number {
  return Math.floor((totalmem() * NON_ZERO_SHARE_MAX) / UNIT_BYTES) * UNIT_BYTES;
}

/** In a process of its own: here there need be one side only, so that all can be touched. */
async function measureIdleSyncs(
  memoryBytes: number,
  signal: AbortSignal,
): Promise<readonly number[]> {
  const limits = { limitMillis: STEP_LIMIT_MILLIS, signal };
  await using source = new SideProcess<SourceCommands>('source', limits);
  return await source.call('idleSyncs', memoryBytes);
}

function slowerResume({ recovery }: MigrateBenchResult['runs'][0]['migration']): number {
  if (recovery === undefined) throw new Error('a recovery was not measured');
  return Math.max(recovery.resumeMillis.source, recovery.resumeMillis.destination);
}

function figureOf({ figures }: MigrateBenchResult, wanted: string): Spread {
  const figure = figures.find(({ key }) => key === wanted);
  if (figure === undefined) throw new Error(`${wanted} was not measured`);
  const { median, min, max } = figure;
  return { median, min, max };
}

function checkSizes(sizes: readonly number[]): void {
  if (sizes.length === 0) throw new RangeError('--sizes: expected at least one');
  const most = totalmem() * TOUCHED_SHARE_MAX;
  for (const size of sizes) {
    const isWhole = Number.isSafeInteger(size) && size % UNIT_BYTES === 0;
    if (!isWhole || size < 2 * UNIT_BYTES || size > most) {
      const gib = Math.floor(most / 2 ** 30);
      const wanted = `a multiple of 16 MiB, from 32 MiB to ${gib} GiB on this machine`;
      throw new RangeError(`--sizes ${size / 2 ** 20}M: expected ${wanted}`);
    }
  }
}
