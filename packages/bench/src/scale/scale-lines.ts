import type { Spread } from '../migrate/statistics.ts';
import { formatNumber } from '../migrate/table.ts';
import type { ScaleResult, ScaleRow } from './bench-scale.ts';

interface ScaleColumn {
  readonly head: readonly [string, string];
  readonly of: (row: ScaleRow) => string;
}

const columns: readonly ScaleColumn[] = [
  { head: ['guest', 'GiB'], of: (row) => gib(row.memoryBytes) },
  { head: ['non-zero', 'GiB'], of: (row) => gib(row.nonZeroBytes) },
  { head: ['precopy', 'ms/GiB'], of: (row) => spread(row.millisPerGib) },
  { head: ['CPU, both', 's/GiB'], of: (row) => spread(row.cpuSecondsPerGib) },
  { head: ['of the', 'limit'], of: (row) => spread(row.ratio) },
  { head: ['untouched', 'ms'], of: (row) => spread(row.untouchedMillis) },
  { head: ['idle sync', 'ms'], of: (row) => spread(row.idleSyncMillis) },
  { head: ['resume', 'ms'], of: (row) => spread(row.resumeMillis) },
];

/** What a gigabyte costs in guests of several sizes, for a terminal: medians, with min–max. */
export function scaleLines({ machine, options, rows }: ScaleResult): string[] {
  const { transport, channels, runs } = options;
  const way = channels === 1 ? transport : `${transport} × ${channels}`;
  const lines = [
    columns.map(({ head }) => head[0]),
    columns.map(({ head }) => head[1]),
    ...rows.map((row) => columns.map(({ of }) => of(row))),
  ];
  const widths = columns.map((_, index) =>
    Math.max(...lines.map((cells) => (cells[index] as string).length)),
  );
  return [
    `godwit bench scale: ${way}, ${runs === 1 ? '1 run' : `${runs} runs`}`,
    machine,
    'precopy, CPU and limit per GiB that is not zero; untouched: a guest of that size, 16 MiB of it used',
    '',
    ...lines.map((cells) =>
      cells.map((cell, index) => cell.padStart(widths[index] as number)).join('  '),
    ),
  ];
}

function gib(bytes: number): string {
  return formatNumber(bytes / 2 ** 30);
}

function spread({ median, min, max }: Spread): string {
  const [from, to] = [formatNumber(min), formatNumber(max)];
  return from === to ? formatNumber(median) : `${formatNumber(median)} (${from}–${to})`;
}
