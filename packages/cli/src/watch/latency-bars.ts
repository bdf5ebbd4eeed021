import { formatMillis } from '../figures.ts';

const EIGHTHS = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const;
const BAR_CELLS = 3;
const COLUMN_CELLS = BAR_CELLS + 1;
/** A label is as wide as two columns, so that `128 µs` fits. */
const COLUMNS_PER_LABEL = 2;

/**
 * A histogram standing up: one column for each power of two in which there is anything, from the
 * fastest to the slowest, and the gaps between them.
 *
 * @param counts [n]: from 2^n to 2^(n+1) microseconds.
 * @param width cells; what does not fit is counted in the last column, which says so by `≥`.
 * @param rows of the bars; the labels take one more.
 */
export function latencyBars(counts: readonly number[], width: number, rows: number): string[] {
  const first = counts.findIndex((count) => count > 0);
  if (first < 0 || rows < 1) return [];
  const room = Math.max(1, Math.floor(width / COLUMN_CELLS));
  const used = counts.slice(first, counts.findLastIndex((count) => count > 0) + 1);
  const shown = used.slice(0, room);
  const rest = used.slice(room).reduce((sum, count) => sum + count, 0);
  shown[shown.length - 1]! += rest;
  const most = Math.max(...shown);
  const bars = Array.from({ length: rows }, (_, row) => {
    const below = (rows - 1 - row) * 8;
    return shown.map((count) => column(eighthsOf(count, most, rows) - below)).join('');
  });
  const labels = shown.map((_, index) => {
    if (index % COLUMNS_PER_LABEL !== 0) return '';
    const isOpen = rest > 0 && index === shown.length - 1;
    const label = `${isOpen ? '≥' : ''}${edge(first + index)}`;
    const fits = index * COLUMN_CELLS + label.length <= width; // half a label would be a wrong one
    return (fits ? label : '').padEnd(COLUMN_CELLS * COLUMNS_PER_LABEL);
  });
  return [...bars, labels.join('')].map((line) => line.trimEnd().slice(0, width));
}

/** Whatever was there at all is seen. */
function eighthsOf(count: number, most: number, rows: number): number {
  if (count === 0) return 0;
  return Math.max(1, Math.round((count / most) * rows * 8));
}

function column(eighths: number): string {
  const sign = EIGHTHS[Math.min(8, Math.max(0, eighths))] as string;
  return `${sign.repeat(BAR_CELLS)} `;
}

/** Where an octave begins, in as few letters as there are: `16 µs`, `1 ms`, `131 ms`. */
function edge(octave: number): string {
  return formatMillis(2 ** octave / 1000).replace(/\.\d+/, '');
}
