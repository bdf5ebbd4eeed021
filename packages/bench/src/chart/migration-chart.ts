import type { MigrateBenchResult } from '../migrate/bench-migrate.ts';
import { describeOptions } from '../migrate/describe-options.ts';
import { latencyPanel } from './latency-panel.ts';
import type { Plot } from './panel.ts';
import { element, escapeText, text } from './svg.ts';
import { throughputPanel } from './throughput-panel.ts';

const WIDTH = 880;
const MARGIN = 32;
const AXIS_WIDTH = 44;
const FIRST_PLOT_TOP = 188;
const PLOT_HEIGHT = 220;
/** From the end of one plot to the start of the next: labels, title and air. */
const PLOT_DISTANCE = 132;

/** Its own background, so that it can be read on any page; dark where the reader prefers that. */
const STYLE = `
text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328 }
.title { font-size: 20px; font-weight: 600 }
.heading { font-size: 15px; font-weight: 600 }
.small { font-size: 12px; fill: #59636e }
.surface { fill: #ffffff; stroke: #d1d9e0 }
.axis { stroke: #818b98 }
.grid { stroke: #e4e8ec }
.curve { fill: none; stroke: #2563eb; stroke-width: 2; stroke-linejoin: round }
.area { fill: #2563eb; fill-opacity: 0.12 }
.other { fill: none; stroke: #2563eb; stroke-opacity: 0.3 }
.bar { fill: #2563eb; fill-opacity: 0.75 }
.limit { stroke: #c2410c; stroke-width: 1.5; stroke-dasharray: 6 4 }
.limit-label { font-size: 12px; fill: #c2410c }
.mark { stroke: #59636e; stroke-dasharray: 2 3 }
.on-line { paint-order: stroke; stroke: #ffffff; stroke-width: 4 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.small { fill: #9198a1 }
.surface { fill: #0d1117; stroke: #3d444d }
.axis { stroke: #656c76 }
.grid { stroke: #262c34 }
.curve, .other { stroke: #6ea8fe }
.area, .bar { fill: #6ea8fe }
.limit { stroke: #ffa657 }
.limit-label { fill: #ffa657 }
.mark { stroke: #9198a1 }
.on-line { stroke: #0d1117 }
}`;

/** What a benchmark has measured, as an SVG document. */
export function migrationChart({ machine, options, runs }: MigrateBenchResult): string {
  const faults = runs.flatMap(({ migration }) => migration.faults ?? []);
  const panels = [
    (plot: Plot) => throughputPanel(plot, runs),
    ...(faults.length === 0 ? [] : [(plot: Plot) => latencyPanel(plot, faults)]),
  ];
  const height =
    FIRST_PLOT_TOP + panels.length * PLOT_HEIGHT + (panels.length - 1) * PLOT_DISTANCE + 52;
  const [title, subtitle] = ['godwit bench migrate', describeOptions(options)];
  const surface = { x: 0.5, y: 0.5, width: WIDTH - 1, height: height - 1, rx: 10 };
  const content = [
    element('title', {}, escapeText(`${title}: ${subtitle}`)),
    element('style', {}, STYLE),
    element('rect', { class: 'surface', ...surface }),
    text(MARGIN, 48, title, { class: 'title' }),
    text(MARGIN, 74, subtitle),
    text(MARGIN, 95, machine, { class: 'small' }),
    ...panels.map((draw, index) => draw(plotAt(index))),
  ];
  const size = { width: WIDTH, height, viewBox: `0 0 ${WIDTH} ${height}` };
  return `${element('svg', { xmlns: 'http://www.w3.org/2000/svg', role: 'img', ...size }, content.join('\n'))}\n`;
}

function plotAt(index: number): Plot {
  const top = FIRST_PLOT_TOP + index * (PLOT_HEIGHT + PLOT_DISTANCE);
  const left = MARGIN + AXIS_WIDTH;
  return { left, right: WIDTH - MARGIN, top, bottom: top + PLOT_HEIGHT };
}
