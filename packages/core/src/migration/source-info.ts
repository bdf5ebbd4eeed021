import type { ChecksumInfo } from './checksum-info.ts';
import type { DowntimeParts } from './downtime-parts.ts';
import type { RamInfo, SourceStatistics } from './source-statistics.ts';
import type { SenderLoad } from './thread-load.ts';
import { isInPostcopy, type SourceStatus } from './status.ts';

/** What query-migrate says on the source; QEMU's names, units and rules of presence. */
export interface SourceInfo {
  readonly status?: SourceStatus;
  readonly 'error-desc'?: string;
  readonly 'setup-time'?: number;
  readonly 'total-time'?: number;
  readonly 'expected-downtime'?: number;
  readonly downtime?: number;
  /** The same in microseconds: most of ours are below a millisecond or two. */
  readonly 'x-downtime-us'?: number;
  /** What it consists of, by name, in microseconds that add up to `x-downtime-us`. */
  readonly 'x-downtime-parts'?: DowntimeParts;
  readonly ram?: RamInfo;
  /** Of its time, what each vCPU loses to auto-converge; only while it is throttled. */
  readonly 'cpu-throttle-percentage'?: number;
  readonly 'x-senders'?: SenderLoad;
  readonly 'x-checksum'?: ChecksumInfo;
  /** With x-auto-recover, while the migration is paused: the attempt that follows by itself. */
  readonly 'x-recover-attempt'?: number;
}

const withoutFigures: ReadonlySet<SourceStatus> = new Set(['setup', 'failed', 'cancelled']);

export function sourceInfo(
  status: SourceStatus,
  statistics: SourceStatistics,
  error: Error | undefined,
  recoverAttempt?: number,
): SourceInfo {
  const description = error === undefined ? {} : { 'error-desc': error.message };
  if (status === 'none') return description;
  const checksums = statistics.checksums();
  const checksumInfo = checksums === undefined ? {} : { 'x-checksum': checksums };
  if (withoutFigures.has(status)) return { status, ...description, ...checksumInfo };
  const isOver = isInPostcopy(status) || status === 'completed';
  const { setupMillis = 0, totalMillis, expectedDowntimeMillis, throttlePercentage } = statistics;
  return {
    status,
    ...description,
    'setup-time': Math.round(setupMillis),
    'total-time': Math.round(totalMillis),
    ...(isOver ? {} : { 'expected-downtime': Math.round(expectedDowntimeMillis) }),
    ...(isOver ? downtimeInfo(statistics) : {}),
    ram: statistics.ram(),
    ...(throttlePercentage > 0 ? { 'cpu-throttle-percentage': throttlePercentage } : {}),
    'x-senders': statistics.senders(),
    ...checksumInfo,
    ...(recoverAttempt === undefined ? {} : { 'x-recover-attempt': recoverAttempt }),
  };
}

function downtimeInfo({ downtimeMillis, downtimeParts }: SourceStatistics): Partial<SourceInfo> {
  if (downtimeMillis === undefined || downtimeParts === undefined) return {};
  return {
    downtime: Math.ceil(downtimeMillis),
    'x-downtime-us': Math.round(downtimeMillis * 1000),
    'x-downtime-parts': downtimeParts,
  };
}
