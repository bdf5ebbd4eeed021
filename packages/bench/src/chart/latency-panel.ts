import type { FaultRun } from '../migrate/runs.ts';
import { spreadOf, sumHistograms } from '../migrate/statistics.ts';
import { formatMicros, formatOctave } from './format.ts';
import { panelTitle, type Plot, scaleTo, valueAxis } from './panel.ts';
import { element, line, text } from './svg.ts';
import { ticksTo } from './ticks.ts';

/** Between bars, in pixels. */
const GAP = 3;

/** How long the guest waited for pages: a bar per power of two, all runs together. */
export function latencyPanel(plot: Plot, runs: readonly FaultRun[]): string {
  const counts = sumHistograms(runs.map((run) => run.distribution));
  const first = counts.findIndex((count) => count > 0);
  if (first < 0) return panelTitle(plot, 'Remote faults', 'The guest never waited for a page.');
  const bars = counts.slice(first);
  const ticks = ticksTo(Math.max(...bars), 4);
  const y = scaleTo(ticks.at(-1) as number, plot.bottom, plot.top);
  const width = (plot.right - plot.left) / bars.length;
  const edge = (octave: number): number => plot.left + (octave - first) * width;
  const [drawn, labels] = [[] as string[], [] as string[]];
  for (const [index, count] of bars.entries()) {
    if (count === 0) continue;
    const [left, top] = [edge(first + index) + GAP / 2, Math.min(y(count), plot.bottom - 1)];
    const shape = { x: left, y: top, width: width - GAP, height: plot.bottom - top, rx: 2 };
    drawn.push(element('rect', { class: 'bar', ...shape }));
    const label = { class: 'small on-line', 'text-anchor': 'middle' };
    labels.push(text(left + (width - GAP) / 2, top - 5, count.toLocaleString('en'), label));
  }
  const edges = Array.from({ length: bars.length + 1 }, (_, index) => first + index);
  return [
    panelTitle(plot, 'Remote faults by latency', explain(runs)),
    valueAxis(plot, ticks, y, (count) => count.toLocaleString('en')),
    ...drawn,
    ...edges.map((octave) => edgeLabel(plot, edge(octave), octave, bars.length)),
    percentileMarks(plot, runs, edge),
    ...labels,
  ].join('');
}

const percentiles = ['p50', 'p90', 'p99', 'max'] as const;

function explain(runs: readonly FaultRun[]): string {
  const medians = percentiles.map((name) => {
    const { median } = spreadOf(runs.map((run) => run[name]));
    return `${name} ${formatMicros(median)}`;
  });
  return `from the touch of a missing page to the page in place; ${medians.join(', ')}`;
}

/** Thinned out where there are too many to be read. */
function edgeLabel(plot: Plot, x: number, octave: number, barCount: number): string {
  if (barCount > 14 && octave % 2 === 1) return '';
  const label = { class: 'small', 'text-anchor': 'middle' };
  return text(x, plot.bottom + 20, formatOctave(octave), label);
}

function percentileMarks(
  plot: Plot,
  runs: readonly FaultRun[],
  edge: (octave: number) => number,
): string {
  return percentiles
    .map((name) => {
      const { median } = spreadOf(runs.map((run) => run[name]));
      const x = Math.min(edge(Math.log2(Math.max(median, 1))), plot.right);
      return (
        line([x, plot.top - 6], [x, plot.bottom], { class: 'mark' }) +
        text(x, plot.top - 10, name, { class: 'small', 'text-anchor': 'middle' })
      );
    })
    .join('');
}
