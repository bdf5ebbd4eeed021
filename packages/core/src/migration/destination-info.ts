import type { Address } from '@godwit/transport';
import type { ThreadWaits } from '../memory/blocktime.ts';
import { type ChecksumInfo, checksumInfo } from './checksum-info.ts';
import type { DestinationThreads } from './destination-threads.ts';
import type { GuardianStatus } from './guardian.ts';
import type { DestinationStatus } from './status.ts';
import { type ReceiverLoad, receiverLoad } from './thread-load.ts';

/** What query-migrate says on the destination; QEMU's names and units, ours with x-. */
export interface DestinationInfo {
  readonly status?: DestinationStatus;
  readonly 'error-desc'?: string;
  readonly 'socket-address'?: readonly SocketAddress[];
  /** Milliseconds during which every vCPU waited at once. */
  readonly 'postcopy-blocktime'?: number;
  /** Milliseconds that each vCPU waited. */
  readonly 'postcopy-vcpu-blocktime'?: readonly number[];
  /** Nanoseconds from a remote fault to its page, on average. */
  readonly 'postcopy-latency'?: number;
  /** [n]: faults that took from 2^n to 2^(n+1) microseconds; the last one: and longer. */
  readonly 'postcopy-latency-dist'?: readonly number[];
  /** The same as `postcopy-latency`, for each vCPU. */
  readonly 'postcopy-vcpu-latency'?: readonly number[];
  readonly 'x-ram'?: ReceivedInfo;
  readonly 'x-receivers'?: ReceiverLoad;
  readonly 'x-faults'?: FaultInfo;
  readonly 'x-checksum'?: ChecksumInfo;
  /** Only once pages may be missing, and not of portable memory. */
  readonly 'x-guardian'?: GuardianStatus;
}

export type SocketAddress =
  | { readonly type: 'inet'; readonly host: string; readonly port: string }
  | { readonly type: 'unix'; readonly path: string };

export interface ReceivedInfo {
  readonly 'received-pages': number;
  readonly 'total-pages': number;
  readonly 'normal-pages': number;
  readonly 'zero-pages': number;
  readonly 'duplicate-pages': number;
  readonly 'urgent-pages': number;
}

/** Remote page faults; latencies in microseconds from the fault's arrival to the page's. */
export interface FaultInfo {
  readonly faults: number;
  readonly 'local-faults': number;
  readonly requests: number;
  readonly served: number;
  /** What all vCPUs together have waited for pages that have come. */
  readonly 'waited-us': number;
  readonly 'latency-p50-us': number;
  readonly 'latency-p90-us': number;
  readonly 'latency-p99-us': number;
  /** Exact, where the others are the upper edge of a bucket. */
  readonly 'latency-max-us': number;
  /** [n]: from 2^n to 2^(n+1) microseconds. */
  readonly 'latency-dist': readonly number[];
}

export async function destinationInfo(
  status: DestinationStatus,
  threads: DestinationThreads,
  blocktimeWanted: boolean,
  address: Address | undefined,
  error: Error | undefined,
): Promise<DestinationInfo> {
  if (status === 'none') return {};
  const waited = await threads.blocktime();
  const isTold = blocktimeWanted && status === 'completed' && threads.postcopyPrepared;
  return {
    status,
    ...(error === undefined ? {} : { 'error-desc': error.message }),
    ...(address === undefined ? {} : { 'socket-address': [socketAddress(address)] }),
    ...(isTold ? blocktimeInfo(threads, waited) : {}),
    'x-ram': receivedInfo(threads),
    'x-receivers': receiverLoad(threads),
    'x-faults': faultInfo(threads, waited),
    ...(threads.gate.checks ? { 'x-checksum': damageInfo(threads) } : {}),
    ...(threads.isGuardable ? { 'x-guardian': threads.guardian.status } : {}),
  };
}

/** QEMU's number of buckets (migration/postcopy-ram.c, BLOCKTIME_LATENCY_BUCKET_N). */
const LATENCY_BUCKETS = 24;

function blocktimeInfo(
  threads: DestinationThreads,
  waited: readonly ThreadWaits[],
): Partial<DestinationInfo> {
  const none = { waits: 0, millis: 0 };
  // A vCPU that never waited is not known here: only threads that fault are.
  const vcpus = Array.from(
    { length: Math.max(threads.vcpus, waited.length) },
    (_, vcpu) => waited[vcpu] ?? none,
  );
  const waits = vcpus.reduce((sum, vcpu) => sum + vcpu.waits, 0);
  const millis = vcpus.reduce((sum, vcpu) => sum + vcpu.millis, 0);
  return {
    'postcopy-blocktime': Math.round(threads.faultCounters.get('blocktimeMillis')),
    'postcopy-vcpu-blocktime': vcpus.map((vcpu) => Math.round(vcpu.millis)),
    'postcopy-latency': meanNanos({ waits, millis }),
    'postcopy-latency-dist': buckets(threads.histogram.byOctave()),
    'postcopy-vcpu-latency': vcpus.map(meanNanos),
  };
}

function meanNanos({ waits, millis }: { waits: number; millis: number }): number {
  return waits === 0 ? 0 : Math.round((millis * 1e6) / waits);
}

function buckets(octaves: readonly number[]): number[] {
  const counts = new Array<number>(LATENCY_BUCKETS).fill(0);
  for (const [octave, count] of octaves.entries()) {
    const bucket = Math.min(octave, LATENCY_BUCKETS - 1);
    counts[bucket] = (counts[bucket] as number) + count;
  }
  return counts;
}

function receivedInfo(threads: DestinationThreads): ReceivedInfo {
  const { received, receiverCounters: main, urgentCounters: urgent } = threads;
  return {
    'received-pages': received.count,
    'total-pages': received.pagesTotal,
    'normal-pages': main.get('normalPages') + urgent.get('normalPages'),
    'zero-pages': main.get('zeroPages') + urgent.get('zeroPages'),
    'duplicate-pages': main.get('duplicatePages') + urgent.get('duplicatePages'),
    'urgent-pages': urgent.get('normalPages') + urgent.get('zeroPages'),
  };
}

function damageInfo(threads: DestinationThreads): ChecksumInfo {
  const { blocks, receiverCounters: main, urgentCounters: urgent, lastDamaged } = threads;
  const sum = (name: 'damagedFrames' | 'damagedPages'): number => main.get(name) + urgent.get(name);
  const counts = { frames: sum('damagedFrames'), pages: sum('damagedPages') };
  return checksumInfo(blocks, counts, lastDamaged);
}

function faultInfo(threads: DestinationThreads, waited: readonly ThreadWaits[]): FaultInfo {
  const { faultCounters, histogram } = threads;
  const rounded = (micros: number): number => Math.round(micros * 10) / 10;
  const micros = (share: number): number => rounded(histogram.percentile(share));
  return {
    faults: faultCounters.get('faults'),
    'local-faults': faultCounters.get('localFaults'),
    requests: faultCounters.get('requests'),
    served: histogram.count,
    'waited-us': Math.round(waited.reduce((sum, { millis }) => sum + millis, 0) * 1000),
    'latency-p50-us': micros(0.5),
    'latency-p90-us': micros(0.9),
    'latency-p99-us': micros(0.99),
    'latency-max-us': rounded(histogram.max),
    'latency-dist': histogram.byOctave(),
  };
}

function socketAddress(address: Address): SocketAddress {
  if (address.type === 'unix') return { type: 'unix', path: address.path };
  return { type: 'inet', host: address.host, port: String(address.port) };
}
