import { formatBytes, formatMillis, formatRate } from '../figures.ts';
import type { Forecast, Plan, PlanInput } from './predict.ts';

/** What has come of a migration, in the same figures. */
export type Outcome = Forecast;

const LABEL_WIDTH = 12;
const COLUMN_WIDTH = 16;

export function planLines(input: PlanInput, { precopy, postcopy, use, why }: Plan): string[] {
  const content = (input.presentPages - input.zeroPages) * input.pageBytes;
  const memory = formatBytes(input.totalPages * input.pageBytes);
  const passes = precopy.converges ? String(precopy.passes) : 'no end';
  return [
    line('memory', `${memory}, ${formatBytes(content)} of it to be sent`),
    line('written', writtenWords(input)),
    line('bandwidth', bandwidthWords(input)),
    '',
    row('', 'precopy', 'postcopy'),
    row('passes', passes, String(postcopy.passes)),
    ...figureRows(precopy, postcopy, precopy.converges),
    '',
    `use ${use}: ${why}`,
  ];
}

/** Prediction beside outcome, after the migration. */
export function outcomeLines(predicted: Forecast, outcome: Outcome): string[] {
  return [
    row('', 'predicted', 'outcome'),
    row('passes', String(predicted.passes), String(outcome.passes)),
    ...figureRows(predicted, outcome, true),
  ];
}

function figureRows(left: Forecast, right: Forecast, ends: boolean): string[] {
  const from = (text: string): string => (ends ? text : `> ${text}`);
  return [
    row('sent', from(formatBytes(left.bytes)), formatBytes(right.bytes)),
    row('total time', from(formatMillis(left.totalMillis)), formatMillis(right.totalMillis)),
    row('downtime', formatMillis(left.downtimeMillis), formatMillis(right.downtimeMillis)),
  ];
}

function writtenWords({ curve, pageBytes }: PlanInput): string {
  const bytesAt = (index: number): number => (curve.at(index)?.pages ?? 0) * pageBytes;
  const { millis = 0 } = curve.at(-1) ?? {};
  if (bytesAt(-1) === 0) return `nothing in ${formatMillis(millis)}`;
  const half = curve.at(-2) ?? { millis: 0 };
  return (
    `${formatBytes(bytesAt(-1))} of different pages in ${formatMillis(millis)}, ` +
    `${formatBytes(bytesAt(-2))} of them in ${formatMillis(half.millis)}`
  );
}

function bandwidthWords(input: PlanInput): string {
  const { bandwidth, postcopyBandwidth, switchoverBandwidth, roundTripMillis } = input;
  const rates = `precopy ${formatRate(bandwidth)}, postcopy ${formatRate(postcopyBandwidth)}, last pages ${formatRate(switchoverBandwidth)}`;
  const link = `${rates}; link ${input.linkFrom}`;
  return roundTripMillis === 0 ? link : `${link}, round trip ${formatMillis(roundTripMillis)}`;
}

function line(label: string, text: string): string {
  return `${label.padEnd(LABEL_WIDTH)}${text}`;
}

function row(label: string, left: string, right: string): string {
  return `${label.padEnd(LABEL_WIDTH)}${left.padStart(COLUMN_WIDTH)}${right.padStart(COLUMN_WIDTH)}`;
}
