import type { Run } from '../migrate/runs.ts';
import { medianIndex, spreadOf } from '../migrate/statistics.ts';
import { panelTitle, type Plot, type Scale, scaleTo, valueAxis } from './panel.ts';
import { element, line, pathOf, text } from './svg.ts';
import { type Stretch, throughputOf } from './throughput.ts';
import { ticksTo } from './ticks.ts';

const STRETCHES_MAX = 80;

/** How fast bytes arrived while each migration went on; the run in the middle stands out. */
export function throughputPanel(plot: Plot, runs: readonly Run[]): string {
  const curves = runs.map(({ migration }) => throughputOf(migration.samples, STRETCHES_MAX));
  const middle = medianIndex(runs.map(({ migration }) => migration.millis));
  const levels = levelsOf(runs);
  const rates = ticksTo(highest(levels, curves) / 1e9, 5);
  const times = ticksTo(Math.max(...runs.map(({ migration }) => migration.millis)), 8);
  const x = scaleTo(times.at(-1) as number, plot.left, plot.right);
  const y = scaleTo((rates.at(-1) as number) * 1e9, plot.bottom, plot.top);
  const others = curves.filter((_, index) => index !== middle);
  return [
    panelTitle(plot, 'Throughput over time', explain(runs)),
    valueAxis(plot, rates, (rate) => y(rate * 1e9), String),
    timeAxis(plot, times, x),
    ...others.map((curve) => element('path', { class: 'other', d: pathOf(stepsOf(curve, x, y)) })),
    middleCurve(plot, curves[middle] ?? [], x, y),
    ...levels.map((level, index) => levelLine(plot, level, y, index)),
    marks(plot, runs[middle] as Run, x),
  ].join('');
}

function highest(levels: readonly Level[], curves: readonly (readonly Stretch[])[]): number {
  const all = [...levels, ...curves.flat()];
  return Math.max(0, ...all.map(({ bytesPerSecond }) => bytesPerSecond));
}

/** `GB/s that arrived, the run in the middle, the others behind it; median 3.46 GB/s, 0.92 of the limit` */
function explain(runs: readonly Run[]): string {
  const which = runs.length > 1 ? ', the run in the middle, the others behind it' : '';
  const migrations = runs.map(({ migration }) => migration);
  if (migrations.some(({ recovery }) => recovery !== undefined)) return `GB/s that arrived${which}`;
  const { median } = spreadOf(migrations.map(({ bytesPerSecond }) => bytesPerSecond));
  const ratios = runs.flatMap(({ migration, pump }) =>
    pump === undefined ? [] : [migration.bytesPerSecond / pump.bytesPerSecond],
  );
  const ratio = ratios.length === 0 ? '' : `, ${spreadOf(ratios).median.toFixed(2)} of the limit`;
  return `GB/s that arrived${which}; median ${(median / 1e9).toFixed(2)} GB/s${ratio}`;
}

function middleCurve(plot: Plot, curve: readonly Stretch[], x: Scale, y: Scale): string {
  const steps = stepsOf(curve, x, y);
  const [first] = steps;
  const last = steps.at(-1);
  if (first === undefined || last === undefined) return '';
  const closed = [[first[0], plot.bottom], ...steps, [last[0], plot.bottom]] as const;
  return (
    element('path', { class: 'area', d: `${pathOf(closed)}Z` }) +
    element('path', { class: 'curve', d: pathOf(steps) })
  );
}

/** A stretch is level: nothing is known of what happened within it. */
function stepsOf(
  curve: readonly Stretch[],
  x: Scale,
  y: Scale,
): (readonly [x: number, y: number])[] {
  return curve.flatMap(({ fromMillis, toMillis, bytesPerSecond }) => [
    [x(fromMillis), y(bytesPerSecond)] as const,
    [x(toMillis), y(bytesPerSecond)] as const,
  ]);
}

function timeAxis(plot: Plot, times: readonly number[], x: Scale): string {
  return times
    .map((time, index) => {
      const isLast = index === times.length - 1;
      const anchor = { class: 'small', 'text-anchor': isLast ? 'end' : 'middle' };
      return text(x(time), plot.bottom + 20, isLast ? `${time} ms` : String(time), anchor);
    })
    .join('');
}

/** A throughput to compare with, of which only the median is known. */
interface Level {
  readonly name: string;
  readonly bytesPerSecond: number;
}

/** Whatever was measured in turn with the migrations; a line each. */
function levelsOf(runs: readonly Run[]): Level[] {
  const pumps = runs.flatMap(({ pump }) => (pump === undefined ? [] : [pump]));
  const [first] = pumps;
  if (first === undefined) return [];
  const { median } = spreadOf(pumps.map((pump) => pump.bytesPerSecond));
  return [{ name: first.name, bytesPerSecond: median }];
}

/** Labels stand at the right and at the left in turn, since levels may lie close to each other. */
function levelLine(plot: Plot, { name, bytesPerSecond }: Level, y: Scale, index: number): string {
  const at = y(bytesPerSecond);
  const label = `${name}, median ${(bytesPerSecond / 1e9).toFixed(2)} GB/s`;
  const [x, anchor] = index % 2 === 0 ? [plot.right, 'end'] : [plot.left + 6, 'start'];
  return (
    line([plot.left, at], [plot.right, at], { class: 'limit' }) +
    text(x, at - 7, label, { class: 'limit-label on-line', 'text-anchor': anchor })
  );
}

/** What happened to the link in a recovery. */
function marks(plot: Plot, { migration }: Run, x: Scale): string {
  const { recovery } = migration;
  if (recovery === undefined) return '';
  const [cut, resumed] = [x(recovery.cutAtMillis), x(recovery.resumedAtMillis)];
  return [
    line([cut, plot.top], [cut, plot.bottom], { class: 'mark' }),
    line([resumed, plot.top], [resumed, plot.bottom], { class: 'mark' }),
    text(cut - 6, plot.top + 12, 'cut', { class: 'small', 'text-anchor': 'end' }),
    text(resumed + 6, plot.top + 12, 'recovered', { class: 'small' }),
  ].join('');
}
