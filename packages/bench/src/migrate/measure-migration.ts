import { randomBytes } from 'node:crypto';

import type { Address } from '@godwit/transport';

import type { DestinationReport, SourceReport } from '../side/side-api.ts';
import { guestMemory, memoryKind, type MigrateBenchOptions } from './options.ts';
import { initialPostcopyBandwidth } from './postcopy-bandwidth.ts';
import type { FaultRun, MigrationRun, RecoveryRun, Sample } from './runs.ts';
import type { Stage } from './stage.ts';
import { slowestStalls, type StallRun } from './stalls.ts';

const NANOS_PER_MICRO = 1000;

/** One migration, from a guest at the source to one that is proved whole at the destination. */
export async function measureMigration(stage: Stage): Promise<MigrationRun> {
  const { options, source, destination } = stage;
  const { mode, channels, zlibLevel, capabilities = [], downtimeLimitMillis } = options;
  const postcopyBandwidth = initialPostcopyBandwidth(options);
  const postcopy = mode !== 'precopy';
  const coding = zlibLevel === undefined ? {} : { zlibLevel };
  const tls = options.tls === undefined ? {} : { tlsKey: randomBytes(32).toString('hex') };
  const limits = { downtimeLimitMillis, postcopyBandwidth };
  const plan = { postcopy, channels, ...coding, ...tls, capabilities, ...limits };
  await source.call('prepareMigration', plan);
  const memory = memoryKind(options);
  const place = { ...guestMemory(options), memory, channels, ...tls, address: stage.address() };
  const address = await destination.call('prepareMigration', place);
  const [left, arrived, recovery] = await Promise.all([
    source.call('migrate', address),
    destination.call('untilCompleted', undefined),
    mode === 'recovery' ? recover(stage, address) : undefined,
  ]);
  await destination.call('verify', undefined);
  return describeRun(options, left, arrived, recovery);
}

interface Recovery {
  readonly cutMillis: number;
  readonly askedMillis: number;
  readonly activeMillis: { readonly source: number; readonly destination: number };
  readonly firstPageMillis: number;
}

/** Cuts the link half way, and asks for a new one as soon as both sides have noticed. */
async function recover(
  { options, source, destination }: Stage,
  address: Address,
): Promise<Recovery> {
  await destination.call('untilReceived', options.memoryBytes / 2);
  const [{ cutMillis }] = await Promise.all([
    source.call('cut', undefined),
    destination.call('untilPaused', undefined),
  ]);
  const [resumed, recovered] = await Promise.all([
    source.call('resume', address),
    destination.call('untilRecovered', undefined),
  ]);
  return {
    cutMillis,
    askedMillis: resumed.askedMillis,
    activeMillis: { source: resumed.activeMillis, destination: recovered.activeMillis },
    firstPageMillis: recovered.firstPageMillis,
  };
}

function describeRun(
  { memoryBytes, mode }: MigrateBenchOptions,
  left: SourceReport,
  arrived: DestinationReport,
  recovery: Recovery | undefined,
): MigrationRun {
  // Before that moment a postcopy moves nothing.
  const startMillis = mode === 'precopy' ? left.activeMillis : arrived.runsMillis;
  const endMillis = Math.max(left.endedMillis, arrived.completedMillis);
  const millis = endMillis - startMillis;
  const gib = memoryBytes / 2 ** 30;
  const { info } = left;
  const parts = info['x-downtime-parts'];
  return {
    millis,
    bytesPerSecond: (memoryBytes / millis) * 1000,
    cpuSecondsPerGib: { source: left.cpuSeconds / gib, destination: arrived.cpuSeconds / gib },
    downtimeMillis: (info['x-downtime-us'] ?? 0) / 1000,
    ...(parts === undefined ? {} : { downtimeParts: parts }),
    passes: info.ram?.['dirty-sync-count'] ?? 0,
    samples: samplesBetween(arrived.samples, startMillis, endMillis, memoryBytes),
    ...(mode === 'precopy' ? {} : { faults: faultRun(arrived), stalls: stallRun(arrived) }),
    ...(recovery === undefined ? {} : { recovery: recoveryRun(recovery, startMillis) }),
  };
}

/** On a clock that begins with the migration, closed by the two ends that are known. */
function samplesBetween(
  samples: readonly Sample[],
  startMillis: number,
  endMillis: number,
  bytesTotal: number,
): Sample[] {
  const within = samples
    .filter(({ millis }) => millis > startMillis && millis < endMillis)
    .map(({ millis, bytes }) => ({ millis: millis - startMillis, bytes }));
  return [
    { millis: 0, bytes: 0 },
    ...within,
    { millis: endMillis - startMillis, bytes: bytesTotal },
  ];
}

function faultRun({ info }: DestinationReport): FaultRun {
  const faults = info['x-faults'];
  return {
    faults: faults?.served ?? 0,
    p50: faults?.['latency-p50-us'] ?? 0,
    p90: faults?.['latency-p90-us'] ?? 0,
    p99: faults?.['latency-p99-us'] ?? 0,
    max: faults?.['latency-max-us'] ?? 0,
    distribution: faults?.['latency-dist'] ?? [],
    blocktimeMillis: info['postcopy-blocktime'] ?? 0,
  };
}

/** A guest that is new here has no steps from before. */
function stallRun({ info, stepTimes }: DestinationReport): StallRun {
  return slowestStalls([], stepTimes, info['x-faults']?.served ?? 0, NANOS_PER_MICRO);
}

function recoveryRun(recovery: Recovery, startMillis: number): RecoveryRun {
  const { cutMillis, askedMillis, activeMillis, firstPageMillis } = recovery;
  return {
    resumeMillis: {
      source: activeMillis.source - askedMillis,
      destination: activeMillis.destination - askedMillis,
    },
    firstPageMillis: firstPageMillis - cutMillis,
    cutAtMillis: cutMillis - startMillis,
    resumedAtMillis: Math.max(activeMillis.source, activeMillis.destination) - startMillis,
  };
}
