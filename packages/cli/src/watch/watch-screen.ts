import { formatBytes, formatClock, formatMillis, formatRate, formatShare } from '../figures.ts';
import { type Ink, type Painter, paintLine, type Segment } from '../painter.ts';
import { progressBar } from '../progress-bar.ts';
import { latencyBars } from './latency-bars.ts';
import { type CellKind, pageCells, type PageCells } from './page-cells.ts';
import { type WatchState, statusOf } from './watch-state.ts';
import type { SideView } from './watched-side.ts';

export interface ScreenSize {
  readonly columns: number;
  readonly rows: number;
}

type Line = readonly Segment[];

const NAME_CELLS = 14;
const BAR_CELLS_MAX = 40;
const HISTOGRAM_ROWS = 3;
/** Fewer rows of map than this go before the histogram does. */
const MAP_ROWS_MIN = 2;
const MAP_ROWS_MAX = 16;
/** All lines but map and histogram, at most. */
const OTHER_ROWS = 14;

const signs = {
  here: ['█', 'good'],
  partly: ['▄', 'good'],
  dirty: ['▒', 'warn'],
  missing: ['·', 'faint'],
  faulted: ['x', 'busy'],
  waiting: ['!', 'bad'],
} as const satisfies Record<CellKind, readonly [string, Ink]>;

/** How many cells to ask for, so that the map fills its part of the screen and no more. */
export function mapCells({ columns, rows }: ScreenSize): number {
  return Math.max(1, mapRows(rows) * Math.max(1, columns - 2));
}

/** The screen, never wider nor higher than the terminal: what matters less is left out first. */
export function watchLines(state: WatchState, size: ScreenSize, paint: Painter): string[] {
  const { columns, rows } = size;
  const head = [titleLine(state, columns), [], ...sideLines(state)];
  const facts = factLines(state, barCells(columns));
  const body = facts.length === 0 ? [] : [[], ...facts];
  const faults = faultLines(state, columns);
  const map = mapLines(state, columns);
  const left = rows - head.length - body.length;
  // Blank line, fault line; blank line and legend around the map.
  const faultRoom = faults.length === 0 ? 0 : faults.length + 1;
  const mapLeast = map.length === 0 ? 0 : MAP_ROWS_MIN + 2;
  const shortFaults = left >= faultRoom + mapLeast ? faults : faults.slice(0, 1);
  const tail = shortFaults.length === 0 ? [] : [[], ...shortFaults];
  const shownMap = fitMap(map, left - tail.length);
  return [...head, ...body, ...shownMap, ...tail]
    .slice(0, rows)
    .map((line) => paintLine(line, columns, paint).trimEnd());
}

function mapRows(rows: number): number {
  return Math.min(MAP_ROWS_MAX, Math.max(MAP_ROWS_MIN, rows - OTHER_ROWS - HISTOGRAM_ROWS));
}

/** The map takes a blank line above and its legend below, or it is not there. */
function fitMap(map: readonly Line[], room: number): Line[] {
  if (map.length === 0 || room < 3) return [];
  const legend = map.at(-1) as Line;
  return [[], ...map.slice(0, Math.min(map.length - 1, room - 2)), legend];
}

function barCells(columns: number): number {
  return Math.min(BAR_CELLS_MAX, Math.max(6, columns - 58));
}

function titleLine(state: WatchState, columns: number): Line {
  const clock = formatClock(state.elapsedMillis);
  const title = `godwit status  ${statusOf(state)}`;
  return [
    ['strong', title.padEnd(Math.max(title.length + 1, columns - clock.length))],
    ['plain', clock],
  ];
}

function sideLines({ source, destination }: WatchState): Line[] {
  return [
    ...(source === undefined ? [] : sideLine('source', source)),
    ...(destination === undefined ? [] : sideLine('destination', destination)),
  ];
}

function sideLine(name: string, side: SideView): Line[] {
  const { status = 'none', 'error-desc': reason } = side.migrate;
  const guest = `guest ${side.run.status}`;
  const line: Line = [
    ['plain', ` ${name.padEnd(NAME_CELLS - 1)}`],
    [inkOf(status), status.padEnd(24)],
    [side.run.running ? 'good' : 'plain', guest.padEnd(23)],
    ['faint', side.name],
  ];
  const indent: Segment = ['plain', ' '.repeat(NAME_CELLS)];
  return [
    line,
    ...(reason === undefined ? [] : [[indent, ['warn', `because ${reason}`] as const]]),
    ...(side.lost === undefined ? [] : [[indent, ['bad', `QMP lost: ${side.lost}`] as const]]),
  ];
}

function inkOf(status: string): Ink {
  if (status === 'completed') return 'good';
  if (status === 'failed') return 'bad';
  if (status.startsWith('postcopy-pause') || status === 'cancelled') return 'warn';
  return status === 'none' ? 'faint' : 'busy';
}

function factLines(state: WatchState, cells: number): Line[] {
  return [...progressLine(state, cells), ...speedLines(state, cells), ...downtimeLine(state)];
}

function progressLine({ source, destination }: WatchState, cells: number): Line[] {
  const ram = source?.migrate.ram;
  const received = destination?.migrate['x-ram'];
  if (ram !== undefined) {
    const inPostcopy = source?.migrate.status?.startsWith('postcopy') === true;
    const isOver = source?.migrate.status === 'completed';
    const name = isOver ? 'sent' : inPostcopy ? 'postcopy' : `pass ${ram['dirty-sync-count']}`;
    const share = ram.total === 0 ? 1 : 1 - ram.remaining / ram.total;
    const left = `${formatBytes(ram.remaining)} of ${formatBytes(ram.total)} left`;
    return [fact(name, share, cells, left)];
  }
  if (received === undefined) return [];
  const share = received['received-pages'] / Math.max(1, received['total-pages']);
  const text = `${received['received-pages']} of ${received['total-pages']} pages`;
  return [fact('received', share, cells, text)];
}

function fact(name: string, share: number, cells: number, text: string): Line {
  return [
    ['plain', ` ${name.padEnd(NAME_CELLS - 1)}`],
    ['busy', progressBar(share, cells)],
    ['plain', ` ${formatShare(share).padStart(5)}  ${text}`],
  ];
}

/** What leaves and what the guest writes, on one scale: whichever is longer wins. */
function speedLines({ source, bytesPerSecond }: WatchState, cells: number): Line[] {
  if (source?.migrate.ram === undefined) return [];
  const { status = 'none', ram } = source.migrate;
  if (!['active', 'postcopy-active', 'device', 'pre-switchover'].includes(status)) return [];
  const inPostcopy = status === 'postcopy-active';
  const cap = source.parameters[inPostcopy ? 'max-postcopy-bandwidth' : 'max-bandwidth'] ?? 0;
  // What the first sync finds is all of memory, and no rate.
  const hasRate = !inPostcopy && ram['dirty-sync-count'] > 1;
  const written = hasRate ? ram['dirty-pages-rate'] * ram['page-size'] : 0;
  const most = Math.max(bytesPerSecond, written, cap, 1);
  const limit = cap === 0 ? 'no limit' : `limit ${formatRate(cap)}`;
  const told = `${limit}, ${formatBytes(ram.transferred)} sent`;
  const line = (name: string, ink: Ink, rate: number, text: string): Line => [
    ['plain', ` ${name.padEnd(NAME_CELLS - 1)}`],
    [ink, progressBar(rate / most, cells)],
    ['plain', ` ${formatRate(rate).padStart(9)}  ${text}`],
  ];
  return [
    line('bandwidth', 'good', bytesPerSecond, told),
    ...(hasRate
      ? [line('guest writes', 'warn', written, `${ram['dirty-pages-rate']} pages/s`)]
      : []),
  ];
}

function downtimeLine({ source }: WatchState): Line[] {
  if (source === undefined) return [];
  const { migrate, parameters } = source;
  const { 'downtime-limit': limit } = parameters;
  const { 'x-downtime-us': micros, downtime, 'expected-downtime': expected } = migrate;
  const told = micros === undefined ? downtime : micros / 1000;
  const allowed = limit === undefined ? '' : `, limit ${formatMillis(limit)}`;
  const text =
    told === undefined
      ? expected === undefined
        ? undefined
        : `${formatMillis(expected)} expected${allowed}`
      : formatMillis(told);
  const time = migrate['total-time'];
  const total = time === undefined ? '' : `   migration for ${formatMillis(time)}`;
  return text === undefined
    ? []
    : [[['plain', ` ${'downtime'.padEnd(NAME_CELLS - 1)}${text}${total}`]]];
}

function faultLines({ destination, faultsPerSecond }: WatchState, columns: number): Line[] {
  const faults = destination?.migrate['x-faults'];
  if (faults === undefined || faults.served === 0) return [];
  const at = (name: 'latency-p50-us' | 'latency-p99-us' | 'latency-max-us'): string =>
    formatMillis(faults[name] / 1000);
  const text =
    `${faults.served} served, ${Math.round(faultsPerSecond)}/s   p50 ${at('latency-p50-us')}` +
    `  p99 ${at('latency-p99-us')}  max ${at('latency-max-us')}`;
  const bars = latencyBars(faults['latency-dist'], columns - NAME_CELLS, HISTOGRAM_ROWS);
  return [
    [['plain', ` ${'faults'.padEnd(NAME_CELLS - 1)}${text}`]],
    ...bars.map((bar, index): Line => {
      const ink = index === bars.length - 1 ? 'faint' : 'busy';
      return [
        ['plain', ' '.repeat(NAME_CELLS)],
        [ink, bar],
      ];
    }),
  ];
}

function mapLines({ source, destination }: WatchState, columns: number): Line[] {
  const isFirstPass = (source?.migrate.ram?.['dirty-sync-count'] ?? 0) <= 1;
  const cells = pageCells(source?.pageMap, destination?.pageMap, isFirstPass);
  if (cells === undefined) return [];
  const perRow = Math.max(1, columns - 2);
  const lines: Line[] = [];
  for (let at = 0; at < cells.cells.length; at += perRow) {
    lines.push([['plain', ' '], ...runsOf(cells.cells.slice(at, at + perRow))]);
  }
  return [...lines, legendLine(cells, destination !== undefined, columns)];
}

/** One segment for each run of equal cells: a colour is set once. */
function runsOf(cells: readonly CellKind[]): Segment[] {
  const runs: [Ink, string][] = [];
  for (const kind of cells) {
    const [sign, ink] = signs[kind];
    const last = runs.at(-1);
    if (last?.[1].endsWith(sign) === true) last[1] += sign;
    else runs.push([ink, sign]);
  }
  return runs;
}

/** What does not fit is left out, rather than half of it shown. */
function legendLine(map: PageCells, hasArrived: boolean, columns: number): Line {
  const { pages, here, missing, dirty = 0, faulted = 0, waiting = 0 } = map.totals;
  const share = (count: number): string => formatShare(pages === 0 ? 1 : count / pages);
  const entry = (kind: CellKind, text: string): Segment[] => {
    const [sign, ink] = signs[kind];
    return [
      [ink, ` ${sign}`],
      ['faint', ` ${text}`],
    ];
  };
  const entries = [
    entry('here', `${hasArrived ? 'received' : 'sent'} ${share(here)}`),
    entry('missing', `${hasArrived ? 'missing' : 'to be sent'} ${share(missing)}`),
    ...(dirty === 0 ? [] : [entry('dirty', `dirty ${share(dirty)}`)]),
    ...(faulted === 0 ? [] : [entry('faulted', `faulted ${faulted}`)]),
    ...(waiting === 0 ? [] : [entry('waiting', `waiting ${waiting}`)]),
    entry('partly', 'partly'),
    [['faint', `   ${formatBytes(map.pagesPerCell * map.pageBytes)} each`] as const],
  ];
  const line: Segment[] = [];
  for (const more of entries) {
    const cells = [...line, ...more].reduce((sum, [, text]) => sum + text.length, 0);
    if (cells > columns) break;
    line.push(...more);
  }
  return line;
}
