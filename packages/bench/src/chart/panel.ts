import { line, text } from './svg.ts';

/** Where a panel's axes enclose it, in pixels. */
export interface Plot {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** From a value to a pixel. */
export type Scale = (value: number) => number;

export function scaleTo(max: number, from: number, to: number): Scale {
  return (value) => from + (value / max) * (to - from);
}

/** Horizontal lines with their values on the left, and what they count above them. */
export function valueAxis(
  plot: Plot,
  ticks: readonly number[],
  y: Scale,
  format: (value: number) => string,
): string {
  const lines = ticks.map((tick) => {
    const at = y(tick);
    const kind = tick === 0 ? 'axis' : 'grid';
    return (
      line([plot.left, at], [plot.right, at], { class: kind }) +
      text(plot.left - 8, at + 4, format(tick), { class: 'small', 'text-anchor': 'end' })
    );
  });
  return lines.join('');
}

export function panelTitle(plot: Plot, title: string, explanation: string): string {
  const [x, y] = [plot.left - TITLE_INDENT, plot.top - 52];
  return text(x, y, title, { class: 'heading' }) + text(x, y + 19, explanation, { class: 'small' });
}

/** Titles begin where the page's do, left of the axis. */
const TITLE_INDENT = 44;
