import type { WhySample } from './why-sample.ts';

/** What two samples say about the time between them. Shares are of one thread's time, 0 to 1. */
export interface WhyFigures {
  readonly seconds: number;
  readonly status: string;
  /** Of the source; absent where it is not known. */
  readonly sent?: SentFigures;
  readonly arrived?: ArrivedFigures;
  /** Of all processors of the host. */
  readonly hostBusyShare?: number;
}

export interface SentFigures {
  readonly bytesPerSecond: number;
  readonly pagesPerSecond: number;
  readonly remainingBytes: number;
  readonly requestsPerSecond: number;
  /** Of the pages sent, those that were asked for and their neighbours. */
  readonly urgentShare: number;
  /** The limit of this phase, bytes/s; 0: none. */
  readonly bandwidthCap: number;
  readonly pacedShare: number;
  readonly cpuShare: number;
  /** In writes, and not working: the socket was full. */
  readonly blockedShare: number;
  /** Absent before there have been two syncs: the first finds all of memory. */
  readonly dirty?: {
    readonly pagesPerSecond: number;
    readonly bytesPerSecond: number;
    readonly expectedDowntimeMillis: number;
    readonly downtimeLimitMillis: number;
  };
}

export interface ArrivedFigures {
  readonly cpuShare: number;
  readonly faultsPerSecond: number;
  readonly latencyP50Millis: number;
  readonly latencyP99Millis: number;
  /** Time that vCPUs waited for pages; 1 is one of them all the time. */
  readonly waitedShare: number;
}

/** In setup and after a cut there may be no figures of a side: what is absent counts as zero. */
export function figuresOf(before: WhySample, after: WhySample): WhyFigures {
  const micros = Math.max(1, (after.millis - before.millis) * 1000);
  const status = after.source?.migrate.status ?? after.destination?.migrate.status ?? 'none';
  const sent = sentFigures(before, after, micros);
  const arrived = arrivedFigures(before, after, micros);
  const busy = hostBusyShare(before, after);
  return {
    seconds: micros / 1e6,
    status,
    ...(sent === undefined ? {} : { sent }),
    ...(arrived === undefined ? {} : { arrived }),
    ...(busy === undefined ? {} : { hostBusyShare: busy }),
  };
}

function sentFigures(
  { source: old }: WhySample,
  { source: now }: WhySample,
  micros: number,
): SentFigures | undefined {
  const ram = now?.migrate.ram;
  if (now === undefined || ram === undefined) return undefined;
  const was = old?.migrate.ram;
  const perSecond = (after: number, before = 0): number =>
    (Math.max(0, after - before) / micros) * 1e6;
  const load = now.migrate['x-senders'];
  const oldLoad = old?.migrate['x-senders'];
  const threads = load?.threads ?? 1;
  const share = (name: 'cpu-us' | 'paced-us' | 'write-us'): number => {
    const spent = (load?.[name] ?? 0) - (oldLoad?.[name] ?? 0);
    return Math.min(1, Math.max(0, spent) / (micros * threads));
  };
  const pages = (all: typeof ram | undefined): number => (all?.normal ?? 0) + (all?.duplicate ?? 0);
  const urgent = (all: typeof ram | undefined): number =>
    (all?.['postcopy-requests'] ?? 0) + (all?.['x-prefetched-pages'] ?? 0);
  const sentPages = pages(ram) - pages(was);
  const urgentShare = sentPages <= 0 ? 0 : Math.min(1, (urgent(ram) - urgent(was)) / sentPages);
  const bytesPerSecond = perSecond(ram.transferred, was?.transferred);
  const paced = share('paced-us');
  const cpu = share('cpu-us');
  const writing = Math.max(0, share('write-us') - cpu);
  const cap = now.migrate.status === 'postcopy-active' ? 'max-postcopy-bandwidth' : 'max-bandwidth';
  return {
    bytesPerSecond,
    pagesPerSecond: perSecond(pages(ram), pages(was)),
    remainingBytes: ram.remaining,
    requestsPerSecond: perSecond(ram['postcopy-requests'], was?.['postcopy-requests']),
    urgentShare,
    bandwidthCap: now.parameters[cap] ?? 0,
    pacedShare: paced,
    cpuShare: cpu,
    // A write that has not returned is in no counter yet.
    blockedShare: bytesPerSecond > 0 ? writing : Math.max(0, 1 - paced - cpu),
    ...dirtyFigures(now),
  };
}

function dirtyFigures({
  migrate,
  parameters,
}: NonNullable<WhySample['source']>): Pick<SentFigures, 'dirty'> {
  const { ram } = migrate;
  if (ram === undefined || migrate.status !== 'active' || ram['dirty-sync-count'] < 2) return {};
  const pagesPerSecond = ram['dirty-pages-rate'];
  return {
    dirty: {
      pagesPerSecond,
      bytesPerSecond: pagesPerSecond * ram['page-size'],
      expectedDowntimeMillis: migrate['expected-downtime'] ?? 0,
      downtimeLimitMillis: parameters['downtime-limit'] ?? 300,
    },
  };
}

function arrivedFigures(
  { destination: old }: WhySample,
  { destination: now }: WhySample,
  micros: number,
): ArrivedFigures | undefined {
  const load = now?.migrate['x-receivers'];
  const faults = now?.migrate['x-faults'];
  if (load === undefined || faults === undefined) return undefined;
  const wasLoad = old?.migrate['x-receivers'];
  const wasFaults = old?.migrate['x-faults'];
  const grown = (after: number, before = 0): number => Math.max(0, after - before);
  return {
    cpuShare: Math.min(1, grown(load['cpu-us'], wasLoad?.['cpu-us']) / (micros * load.threads)),
    faultsPerSecond: (grown(faults.served, wasFaults?.served) / micros) * 1e6,
    latencyP50Millis: faults['latency-p50-us'] / 1000,
    latencyP99Millis: faults['latency-p99-us'] / 1000,
    waitedShare: grown(faults['waited-us'] ?? 0, wasFaults?.['waited-us']) / micros,
  };
}

function hostBusyShare({ host: old }: WhySample, { host: now }: WhySample): number | undefined {
  if (old === undefined || now === undefined) return undefined;
  const total = now.totalMillis - old.totalMillis;
  return total <= 0 ? undefined : (now.busyMillis - old.busyMillis) / total;
}
