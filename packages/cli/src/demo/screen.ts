import { formatBytes, formatClock, formatMillis, formatRate, formatShare } from '../figures.ts';
import { fit, type Ink, type Painter } from '../painter.ts';
import { progressBar } from '../progress-bar.ts';
import {
  type DemoState,
  type FaultState,
  type LogEntry,
  type PhaseState,
  shareOf,
  type SideName,
  type SideState,
} from './demo-state.ts';

/** No line is wider; a terminal must have as many. */
export const COLUMNS = 80;

const PHASES_MAX = 6;
const ENTRIES_MAX = 7;
const BAR_CELLS = 22;

/** The whole screen, always of the same height, so that nothing jumps. */
export function screenLines(state: DemoState, paint: Painter): string[] {
  const clock = formatClock(state.elapsedMillis);
  const title = fit(state.title, COLUMNS - clock.length - 1);
  return [
    `${paint('strong', title.padEnd(COLUMNS - clock.length))}${clock}`,
    '',
    sideLine('source', state.source, paint),
    sideLine('destination', state.destination, paint),
    '',
    ...padded(state.phases.slice(-PHASES_MAX), PHASES_MAX, (phase) =>
      phaseLine(phase, state, paint),
    ),
    '',
    faultLine(state.faults),
    '',
    ...padded(state.log.slice(-ENTRIES_MAX), ENTRIES_MAX, (entry) => entryLine(entry, paint)),
  ];
}

function sideLine(name: SideName, side: SideState, paint: Painter): string {
  const { pid, status, runState } = side;
  return [
    ` ${name.padEnd(13)}`,
    paint(inkOf(status), fit(status, 24).padEnd(24)),
    paint(runState === 'running' ? 'good' : 'plain', `guest ${fit(runState, 16)}`.padEnd(24)),
    paint('faint', pid === 0 ? '' : `pid ${pid}`),
  ].join('');
}

function phaseLine(phase: PhaseState, state: DemoState, paint: Painter): string {
  const { name, totalBytes, beganMillis, endedMillis, isBroken, note } = phase;
  const share = shareOf(phase);
  const lasts = endedMillis === undefined;
  const bar = progressBar(share, BAR_CELLS);
  const ink = isBroken ? 'warn' : lasts ? 'busy' : 'good';
  const size = totalBytes === undefined ? '' : formatBytes(totalBytes);
  const pace = lasts ? formatRate(state.bytesPerSecond) : formatMillis(endedMillis - beganMillis);
  const told = [pace, note].filter((text) => text !== '').join(', ');
  return [
    ` ${fit(name, 15).padEnd(15)} `,
    paint(ink, bar),
    ` ${formatShare(share).padStart(5)} ${size.padStart(8)}  `,
    fit(told, COLUMNS - 17 - BAR_CELLS - 17),
  ].join('');
}

function faultLine({ served, p50Millis, p99Millis }: FaultState): string {
  if (served === 0) return ' faults served   none yet';
  const latency = `p50 ${formatMillis(p50Millis)}, p99 ${formatMillis(p99Millis)}`;
  return ` faults served   ${String(served).padEnd(8)} guest waited for a page: ${latency}`;
}

function entryLine({ millis, who, text }: LogEntry, paint: Painter): string {
  const time = formatClock(millis).padStart(8);
  const whose = `  ${who.padEnd(13)}`;
  const room = COLUMNS - time.length - whose.length;
  return `${paint('faint', time)}${whose}${paint(inkOf(text), fit(text, room))}`;
}

function inkOf(text: string): Ink {
  if (text.includes('paused') || text.includes('cut') || text === 'failed') return 'warn';
  if (text.startsWith('completed') || text.includes('every byte')) return 'good';
  return text === 'none' ? 'faint' : 'plain';
}

function padded<T>(items: readonly T[], count: number, line: (item: T) => string): string[] {
  return Array.from({ length: count }, (_, index) => {
    const item = items[index];
    return item === undefined ? '' : line(item);
  });
}
