import type { MigrateInfo } from '../migrate-info.ts';

/** Where a guest stands in an evacuation. */
export type MovePhase =
  | 'waiting'
  | 'moving'
  /** An attempt failed; the next one comes after a while. */
  | 'backing-off'
  /** The link broke in postcopy: a new one is tried. */
  | 'recovering'
  | 'moved'
  /** It runs where it ran. */
  | 'left'
  /** It runs at the destination without all of its pages, and waits for recovery. */
  | 'paused'
  /** A process cannot be asked any more. */
  | 'unknown';

export type Owner = 'source' | 'destination' | 'switching-over' | 'unknown';

/** What is known of a guest; kept up to date, and printed as it is for programs. */
export interface GuestReport {
  /** Where its source answers QMP. */
  readonly from: string;
  name: string;
  phase: MovePhase;
  owner: Owner;
  /** Where the destination answers QMP, and where it is listening; of the last attempt. */
  to?: string;
  uri?: string;
  /** Migrations begun, and links tried in postcopy. */
  attempts: number;
  recoveries: number;
  /** As the source told it last. */
  status?: string;
  /** Why it has not moved, or the last attempt failed. */
  reason?: string;
  bytesSent?: number;
  bytesRemaining?: number;
  bytesTotal?: number;
  bytesPerSecond?: number;
  totalMillis?: number;
  downtimeMicros?: number;
}

export function newReport(from: string): GuestReport {
  return { from, name: from, phase: 'waiting', owner: 'source', attempts: 0, recoveries: 0 };
}

/** Nothing more is done for it. */
export function isSettled({ phase }: GuestReport): boolean {
  return phase === 'moved' || phase === 'left' || phase === 'paused' || phase === 'unknown';
}

export function takeFigures(report: GuestReport, info: MigrateInfo): void {
  const { ram, downtime } = info;
  if (ram !== undefined) {
    report.bytesSent = ram.transferred;
    report.bytesRemaining = ram.remaining;
    report.bytesTotal = ram.total;
    report.bytesPerSecond = (ram.mbps * 1e6) / 8;
  }
  if (info['total-time'] !== undefined) report.totalMillis = info['total-time'];
  const micros = info['x-downtime-us'] ?? (downtime === undefined ? undefined : downtime * 1000);
  if (micros !== undefined) report.downtimeMicros = micros;
}

const owners: Readonly<Record<string, Owner>> = {
  device: 'switching-over',
  'postcopy-device': 'switching-over',
  'postcopy-active': 'destination',
  'postcopy-paused': 'destination',
  'postcopy-recover-setup': 'destination',
  'postcopy-recover': 'destination',
  completed: 'destination',
};

/** Who may run the guest when its source says so. */
export function ownerAt(status: string): Owner {
  return owners[status] ?? 'source';
}
