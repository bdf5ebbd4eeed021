import { formatBytes, formatRate, formatShare } from '../figures.ts';
import { progressBar } from '../progress-bar.ts';
import { type DemoState, type LogEntry, shareOf } from './demo-state.ts';

const BAR_CELLS = 10;
const WHO_CELLS = 'destination'.length;
const NAME_CELLS = 'precopy pass 1'.length;

/** `   1.234 s  destination  postcopy-active` */
export function entryLine({ millis, who, text }: LogEntry): string {
  return `${seconds(millis)}  ${who.padEnd(WHO_CELLS)}  ${text}`;
}

/** The phase that lasts, in one line; undefined when there is nothing to tell. */
export function progressLine(state: DemoState): string | undefined {
  const phase = state.phases.at(-1);
  if (phase?.totalBytes === undefined || phase.endedMillis !== undefined) return undefined;
  const share = shareOf(phase);
  const { served } = state.faults;
  return [
    seconds(state.elapsedMillis),
    phase.name.padEnd(NAME_CELLS),
    `${progressBar(share, BAR_CELLS)} ${formatShare(share).padStart(5)}`,
    `of ${formatBytes(phase.totalBytes)}`,
    formatRate(state.bytesPerSecond),
    ...(served > 0 ? [`${served} faults`] : []),
  ].join('  ');
}

function seconds(millis: number): string {
  return `${(millis / 1000).toFixed(3).padStart(8)} s`;
}
