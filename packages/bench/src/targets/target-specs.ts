import type { BenchTransport } from '../migrate/options.ts';
import {
  atMost,
  cpu,
  cpuOfAll,
  dirtySync,
  downtime,
  duration,
  firstPage,
  never,
  neverAboveQemu,
  ofTheLimit,
  postcopyDuration,
  rate,
  resume,
  stallP50,
  stallP99,
  timesQemu,
} from './target-figures.ts';
import type { MigrateSpec, TargetSpec } from './target-spec.ts';

const GIB_BYTES = 2 ** 30;
const MIB_BYTES = 2 ** 20;
/** Of the guest that is never touched: the least that can be measured. */
const USED_BYTES = 16 * MIB_BYTES;
/** What a delayed acknowledgement costs a small message that Nagle's algorithm holds back. */
const NAGLE_MILLIS = 40;

/**
 * The speed we are after: each job once, with all that is asked of it. A new job is a new entry, a new
 * figure of a job one more word behind it.
 */
export const targetSpecs: readonly TargetSpec[] = [
  preallocated('unix', 1),
  preallocated('tcp', 1),
  preallocated('unix', 4),
  preallocated('tcp', 4),
  fresh(1),
  fresh(2),
  {
    type: 'migrate',
    key: 'untouched',
    label: 'precopy of 8 GiB that were never touched, but for 16 MiB, unix',
    options: {
      mode: 'precopy',
      transport: 'unix',
      memoryBytes: USED_BYTES,
      untouchedBytes: 8 * GIB_BYTES - USED_BYTES,
    },
    figures: [duration(atMost(40)), cpuOfAll(USED_BYTES)],
  },
  {
    type: 'migrate',
    key: 'postcopy',
    label: 'postcopy, 1 GiB, unix, random guest, 100 000 pages/s',
    options: { mode: 'postcopy', transport: 'unix' },
    figures: [
      postcopyDuration(atMost(400)),
      stallP50(atMost(50), neverAboveQemu()),
      stallP99(atMost(250), neverAboveQemu()),
      downtime(atMost(3)),
    ],
  },
  {
    type: 'migrate',
    key: 'postcopy-trickle',
    label: 'postcopy, 64 MiB, unix, random guest, bulk at a trickle of 1 MiB/s',
    options: {
      mode: 'postcopy',
      transport: 'unix',
      memoryBytes: 64 * MIB_BYTES,
      postcopyBandwidth: MIB_BYTES,
      workload: 'random', // in order it would be given what it has not asked for
      rate: 0,
    },
    figures: [stallP50(atMost(70)), stallP99(atMost(250))],
  },
  {
    type: 'migrate',
    key: 'precopy-writes',
    label: 'precopy, 1 GiB, unix, 130 000 writes/s, downtime-limit 20 ms',
    options: {
      mode: 'precopy',
      transport: 'unix',
      workload: 'random',
      rate: 130_000,
      downtimeLimitMillis: 20,
    },
    figures: [downtime(atMost(8))],
  },
  recovery('unix'),
  recovery('tcp'),
  {
    type: 'dirty-sync',
    key: 'dirty-sync',
    label: 'dirty sync of 4 GiB, 10 000 dirty pages, far apart',
    memoryBytes: 4 * GIB_BYTES,
    figures: [dirtySync(atMost(6))],
  },
];

/** @throws {RangeError} one of the names is not a key. */
export function chooseTargets(names: readonly string[]): readonly TargetSpec[] {
  const keys = targetSpecs.map(({ key }) => key);
  const unknown = names.filter((name) => !keys.includes(name));
  if (unknown.length > 0 || names.length === 0) {
    throw new RangeError(`--only ${unknown.join(',')}: expected some of ${keys.join(', ')}`);
  }
  return targetSpecs.filter(({ key }) => names.includes(key));
}

function preallocated(transport: BenchTransport, channels: number): MigrateSpec {
  return {
    type: 'migrate',
    key: channels === 1 ? `precopy-${transport}` : `precopy-${transport}-${channels}`,
    label: `precopy, 1 GiB, ${way(transport, channels)}, RAM preallocated`,
    options: { mode: 'precopy', transport, channels },
    figures: [rate(ofTheLimit(0.9), timesQemu(1)), cpu()],
  };
}

function fresh(channels: number): MigrateSpec {
  return {
    type: 'migrate',
    key: channels === 1 ? 'fresh-unix' : `fresh-unix-${channels}`,
    label: `precopy, 1 GiB, ${way('unix', channels)}, RAM fresh`,
    options: { mode: 'precopy', transport: 'unix', channels, fresh: true },
    figures: [rate(timesQemu(1.5)), cpu()],
  };
}

function recovery(transport: BenchTransport): MigrateSpec {
  const noNagle = transport === 'tcp' ? [never(NAGLE_MILLIS)] : [];
  return {
    type: 'migrate',
    key: `resume-${transport}`,
    label: `recovery, 1 GiB, ${transport}, cut half way`,
    options: { mode: 'recovery', transport },
    figures: [resume(atMost(3), ...noNagle), firstPage(atMost(5))],
  };
}

function way(transport: BenchTransport, channels: number): string {
  return channels === 1 ? `${transport}, 1 stream` : `${transport}, ${channels} channels`;
}
