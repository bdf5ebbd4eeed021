import type { Figure } from './summary.ts';

/**
 * The figures as lines for a terminal, in columns that fit: label, median, unit, and how far the runs
 * lie apart, which is left out where there was but one.
 */
export function tableLines(figures: readonly Figure[], runCount: number): string[] {
  const rows = figures.map(({ label, unit, median, min, max }) => ({
    label,
    unit,
    median: formatNumber(median),
    spread: runCount > 1 ? `${formatNumber(min)} – ${formatNumber(max)}` : '',
  }));
  const head = { label: '', unit: '', median: 'median', spread: runCount > 1 ? 'min – max' : '' };
  const all = runCount > 1 ? [head, ...rows] : rows;
  const widthOf = (column: keyof typeof head): number =>
    Math.max(0, ...all.map((row) => row[column].length));
  const [label, median, unit] = [widthOf('label'), widthOf('median'), widthOf('unit')];
  return all.map((row) =>
    [row.label.padEnd(label), row.median.padStart(median), row.unit.padEnd(unit), row.spread]
      .join('  ')
      .trimEnd(),
  );
}

/** Three digits that count; a whole number stays one. */
export function formatNumber(value: number): string {
  if (Number.isInteger(value) || Math.abs(value) >= 99.95) return String(Math.round(value));
  if (Math.abs(value) >= 9.995) return value.toFixed(1);
  if (Math.abs(value) >= 0.0995) return value.toFixed(2);
  return value.toFixed(3);
}
