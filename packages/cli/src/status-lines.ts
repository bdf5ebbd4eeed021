import type { DestinationInfo, RamInfo } from '@godwit/core';

import { formatBytes, formatMillis, formatRate, formatShare } from './figures.ts';
import { type MigrateInfo, type RunInfo, uriOf } from './migrate-info.ts';
import { progressBar } from './progress-bar.ts';

const NAME_CELLS = 14;
const BAR_CELLS = 24;

/** What `godwit status` says: a line for each thing that is known. */
export function statusLines(run: RunInfo, info: MigrateInfo): string[] {
  const facts: readonly (readonly [name: string, text: string | undefined])[] = [
    ['guest', run.status],
    ['migration', info.status ?? 'none'],
    ['because', info['error-desc']],
    ...(info.ram === undefined ? [] : ramFacts(info.ram)),
    ['time', info['total-time'] === undefined ? undefined : formatMillis(info['total-time'])],
    ['downtime', downtime(info)],
    ['of which', downtimeParts(info)],
    ...destinationFacts(info),
  ];
  return facts.flatMap(([name, text]) =>
    text === undefined ? [] : [`${name.padEnd(NAME_CELLS)}${text}`],
  );
}

function ramFacts(ram: RamInfo): (readonly [string, string])[] {
  const share = ram.total === 0 ? 1 : 1 - ram.remaining / ram.total;
  const left = `${formatBytes(ram.remaining)} of ${formatBytes(ram.total)} left`;
  return [
    ['progress', `${progressBar(share, BAR_CELLS)} ${formatShare(share).padStart(5)}  ${left}`],
    ['sent', `${formatBytes(ram.transferred)} at ${formatRate((ram.mbps * 1e6) / 8)}`],
    ['pages', `${ram.normal} with content, ${ram.duplicate} zero`],
    ['dirty syncs', `${ram['dirty-sync-count']}, guest writes ${ram['dirty-pages-rate']} pages/s`],
    ['requests', `${ram['postcopy-requests']} pages asked for by the destination`],
  ];
}

function downtime(info: MigrateInfo): string | undefined {
  if (info['x-downtime-us'] !== undefined) return formatMillis(info['x-downtime-us'] / 1000);
  if (info.downtime !== undefined) return formatMillis(info.downtime);
  const expected = info['expected-downtime'];
  return expected === undefined ? undefined : `${formatMillis(expected)} expected`;
}

function downtimeParts({ 'x-downtime-parts': parts }: MigrateInfo): string | undefined {
  if (parts === undefined) return undefined;
  return Object.entries(parts)
    .filter(([name, micros]) => name !== 'pre-switchover' || micros > 0) // where somebody paused
    .map(([name, micros]) => `${name} ${formatMillis(micros / 1000)}`)
    .join(', ');
}

function destinationFacts(info: DestinationInfo | MigrateInfo): (readonly [string, string])[] {
  const facts: (readonly [string, string])[] = [];
  const { 'x-ram': ram, 'x-faults': faults, 'socket-address': addresses = [] } = info;
  if (addresses.length > 0) facts.push(['listens at', addresses.map(uriOf).join(', ')]);
  if (ram !== undefined) {
    const { 'received-pages': received, 'total-pages': total } = ram;
    const share = total === 0 ? 1 : received / total;
    const text = `${received} of ${total} pages`;
    facts.push(
      ['received', `${progressBar(share, BAR_CELLS)} ${formatShare(share).padStart(5)}  ${text}`],
      ['urgent', `${ram['urgent-pages']} pages, ${ram['duplicate-pages']} came twice`],
    );
  }
  if (faults !== undefined && faults.faults > 0) {
    const latency = (name: 'latency-p50-us' | 'latency-p99-us'): string =>
      formatMillis(faults[name] / 1000);
    const text = `p50 ${latency('latency-p50-us')}, p99 ${latency('latency-p99-us')}`;
    facts.push(['faults', `${faults.faults}, ${faults.served} served from afar; ${text}`]);
  }
  return facts;
}
