import { formatNumber } from '../migrate/table.ts';
import type { MicroFigure } from './run-micro.ts';

const NAME_WIDTH = 52;

/** The head of the table, and what each column is. */
export function microHead(): string {
  return row('', ['median', '99 %', 'each', '']);
}

/** A figure as a line for a terminal: times of one run, then what one page, frame or fault takes. */
export function microLine(figure: MicroFigure): string {
  const { name, medianMicros, p99Micros, nanosPerUnit, unit, gigabytesPerSecond } = figure;
  const each = `${formatNumber(nanosPerUnit)} ns/${unit}`;
  const rate = gigabytesPerSecond === undefined ? '' : `${formatNumber(gigabytesPerSecond)} GB/s`;
  return row(`  ${name}`, [formatTime(medianMicros), formatTime(p99Micros), each, rate]);
}

function row(name: string, cells: readonly [string, string, string, string]): string {
  const [median, p99, each, rate] = cells;
  const columns = [median.padStart(9), p99.padStart(9), each.padStart(16), rate.padStart(10)];
  return `${name.padEnd(NAME_WIDTH)}  ${columns.join('  ')}`.trimEnd();
}

function formatTime(micros: number): string {
  return micros >= 1000 ? `${formatNumber(micros / 1000)} ms` : `${formatNumber(micros)} µs`;
}
