import { type Spread, spreadOf } from '../migrate/statistics.ts';
import { present } from '../migrate/summary.ts';
import type { Sides, Target, TargetFigure } from './target-spec.ts';

/** `open`: it, or what it must be compared with, was not measured. */
export type Verdict = 'met' | 'missed' | 'open';

export interface JudgedTarget {
  /** `≥ 0.9 of the limit` */
  readonly text: string;
  readonly verdict: Verdict;
}

/** What was measured of a figure; ratios are those of each run, before the median. */
export interface Compared {
  /** Absent where no run has one: a guest that missed no page has not stalled. */
  readonly ours?: Spread;
  readonly limit?: Spread;
  readonly ofLimit?: Spread;
  readonly peer?: Spread;
  readonly ofPeer?: Spread;
}

/** A figure over all runs, and whether it is what it should be. */
export interface JudgedFigure extends Compared {
  readonly key: string;
  readonly label: string;
  readonly unit: string;
  readonly targets: readonly JudgedTarget[];
  /** Of all targets together: missed is one that is missed, and met are only all. Absent without. */
  readonly verdict?: Verdict;
}

export function judgeFigure<Measured>(
  { key, label, unit, of, targets: wanted }: TargetFigure<Measured>,
  runs: readonly Measured[],
): JudgedFigure {
  const compared = compare(present(runs.map(of)));
  const targets = wanted.map((target) => ({
    text: targetText(target, unit),
    verdict: judge(target, compared),
  }));
  const verdict = allTogether(targets.map((target) => target.verdict));
  const figure = { key, label, unit, ...compared, targets };
  return verdict === undefined ? figure : { ...figure, verdict };
}

/** The median decides, unless every run must keep the bound: then the worst does. */
export function judge({ of, bound, value, inEveryRun }: Target, compared: Compared): Verdict {
  const spread = { ours: compared.ours, limit: compared.ofLimit, peer: compared.ofPeer }[of];
  if (spread === undefined) return 'open';
  const worst = bound === 'at-least' ? spread.min : spread.max;
  const decisive = inEveryRun === true ? worst : spread.median;
  const isMet = bound === 'at-least' ? decisive >= value : decisive <= value;
  return isMet ? 'met' : 'missed';
}

export function allTogether(verdicts: readonly Verdict[]): Verdict | undefined {
  if (verdicts.length === 0) return undefined;
  if (verdicts.includes('missed')) return 'missed';
  return verdicts.includes('open') ? 'open' : 'met';
}

/** `≤ 40 ms`, `≥ 0.9 of the limit`, `≥ 1.5 × QEMU`, `never > QEMU` */
export function targetText({ of, bound, value, inEveryRun }: Target, unit: string): string {
  const [keeps, breaks] = bound === 'at-least' ? ['≥', '<'] : ['≤', '>'];
  const relation = inEveryRun === true ? `never ${breaks}` : keeps;
  const ofPeer = value === 1 ? 'QEMU' : `${value} × QEMU`;
  return `${relation} ${{ ours: `${value} ${unit}`, limit: `${value} of the limit`, peer: ofPeer }[of]}`;
}

function compare(sides: readonly Sides[]): Compared {
  const limited = sides.flatMap(({ ours, limit }) => (limit === undefined ? [] : { ours, limit }));
  const beside = sides.flatMap(({ ours, peer }) => (peer === undefined ? [] : { ours, peer }));
  return {
    ...spreadAs('ours', sides, ({ ours }) => ours),
    ...spreadAs('limit', limited, ({ limit }) => limit),
    ...spreadAs('ofLimit', limited, ({ ours, limit }) => ours / limit),
    ...spreadAs('peer', beside, ({ peer }) => peer),
    ...spreadAs('ofPeer', beside, ({ ours, peer }) => ours / peer),
  };
}

function spreadAs<Part>(
  name: keyof Compared,
  parts: readonly Part[],
  of: (part: Part) => number,
): Compared {
  return parts.length === 0 ? {} : { [name]: spreadOf(parts.map(of)) };
}
