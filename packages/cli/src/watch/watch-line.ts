import { formatBytes, formatMillis, formatRate, formatShare } from '../figures.ts';
import type { WatchState } from './watch-state.ts';
import type { SideView } from './watched-side.ts';

/** The state in one line, for a log: `   1.2 s  source active (running)  pass 3  47 %  …` */
export function watchLine(state: WatchState): string {
  const { source, destination, elapsedMillis, bytesPerSecond } = state;
  const seconds = `${(elapsedMillis / 1000).toFixed(1).padStart(6)} s`;
  const ram = source?.migrate.ram;
  const received = destination?.migrate['x-ram'];
  const faults = destination?.migrate['x-faults'];
  const pass = source?.migrate.status === 'active' ? [`pass ${ram?.['dirty-sync-count']}`] : [];
  const progress =
    ram === undefined
      ? []
      : [...pass, `${formatBytes(ram.remaining)} left`, formatRate(bytesPerSecond)];
  const arrived =
    received === undefined
      ? []
      : [`${formatShare(received['received-pages'] / Math.max(1, received['total-pages']))} here`];
  const served =
    faults === undefined || faults.served === 0
      ? []
      : [`${faults.served} faults, p50 ${formatMillis(faults['latency-p50-us'] / 1000)}`];
  const sides = [sideText('source', source), sideText('destination', destination)].flat();
  return [seconds, ...sides, ...progress, ...arrived, ...served].join('  ');
}

/** What makes a line worth printing before its time. */
export function watchKey({ source, destination }: WatchState): string {
  return [sideText('source', source), sideText('destination', destination)].flat().join();
}

function sideText(name: string, side: SideView | undefined): string[] {
  if (side === undefined) return [];
  const { status = 'none', 'error-desc': reason } = side.migrate;
  const why = reason === undefined ? '' : ` because ${reason}`;
  const lost = side.lost === undefined ? '' : ` (QMP lost: ${side.lost})`;
  return [`${name} ${status} (${side.run.status})${why}${lost}`];
}
