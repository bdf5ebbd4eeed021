import type { Spread } from '../migrate/statistics.ts';
import { formatNumber } from '../migrate/table.ts';
import { describePeer } from '../peer/describe-peer.ts';
import type { TargetRow, TargetsResult } from './bench-targets.ts';
import type { JudgedFigure, Verdict } from './judge.ts';

interface TargetColumn {
  readonly head: string;
  readonly of: (figure: JudgedFigure) => string;
}

const NONE = '–';

const columns: readonly TargetColumn[] = [
  { head: '', of: ({ label }) => `  ${label}` },
  { head: 'ours', of: ({ ours, unit }) => (ours ? `${spread(ours)} ${unit}` : NONE) },
  { head: 'limit', of: ({ limit }) => median(limit) },
  { head: 'ours / limit', of: ({ ofLimit }) => spread(ofLimit) },
  { head: 'QEMU', of: ({ peer }) => median(peer) },
  { head: 'ours / QEMU', of: ({ ofPeer }) => spread(ofPeer) },
  { head: 'target', of: ({ targets }) => targets.map(({ text }) => text).join(', ') || NONE },
  { head: '', of: verdictText },
];

/** Each job with what is asked of it, for a terminal; the last line counts. */
export function targetsLines({ machine, runs, peer, rows }: TargetsResult): string[] {
  const cellsOf = (figure: JudgedFigure): readonly string[] => columns.map(({ of }) => of(figure));
  const heads = columns.map(({ head }) => head);
  const all = [heads, ...rows.flatMap((row) => row.figures.map(cellsOf))];
  const widths = columns.map((_, index) =>
    Math.max(...all.map((cells) => (cells[index] as string).length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, index) => cell.padEnd(widths[index] as number))
      .join('  ')
      .trimEnd();
  return [
    `godwit bench targets: ${runs === 1 ? '1 run' : `${runs} runs`} each, median (min–max)`,
    machine,
    ...(peer === undefined ? [] : [describePeer(peer)]),
    '',
    line(heads),
    ...rows.flatMap((row) => [
      `${row.key}: ${row.label}`,
      ...row.figures.map((figure) => line(cellsOf(figure))),
      ...(row.peerFailed === undefined ? [] : [`  without QEMU: ${row.peerFailed}`]),
      ...(row.failed === undefined ? [] : [`  failed: ${row.failed}`]),
    ]),
    '',
    countLine(rows),
  ];
}

/** Which of several targets is meant, where they differ. */
function verdictText({ targets, verdict }: JudgedFigure): string {
  if (verdict === undefined) return '';
  const isSame = targets.every((target) => target.verdict === verdict);
  if (isSame) return verdict;
  const named = targets.filter((target) => target.verdict === verdict).map(({ text }) => text);
  return `${verdict}: ${named.join(', ')}`;
}

/** `9 met, 2 missed, 3 open (not all of it was measured), 1 job failed` */
function countLine(rows: readonly TargetRow[]): string {
  const verdicts = rows.flatMap(({ figures }) => figures.map(({ verdict }) => verdict));
  const count = (wanted: Verdict): number => verdicts.filter((it) => it === wanted).length;
  const open = count('open');
  const failed = rows.filter((row) => row.failed !== undefined).length;
  return [
    `${count('met')} met`,
    `${count('missed')} missed`,
    ...(open === 0 ? [] : [`${open} open (not all of it was measured)`]),
    ...(failed === 0 ? [] : [failed === 1 ? '1 job failed' : `${failed} jobs failed`]),
  ].join(', ');
}

function median(spreadOrNone: Spread | undefined): string {
  return spreadOrNone === undefined ? NONE : formatNumber(spreadOrNone.median);
}

function spread(spreadOrNone: Spread | undefined): string {
  if (spreadOrNone === undefined) return NONE;
  const { min, max } = spreadOrNone;
  const [from, to] = [formatNumber(min), formatNumber(max)];
  return from === to ? median(spreadOrNone) : `${median(spreadOrNone)} (${from}–${to})`;
}
