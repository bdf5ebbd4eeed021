import { formatBytes, formatMillis, plural } from '../figures.ts';
import type { MigrateInfo } from '../migrate-info.ts';
import type { FaultState } from './demo-state.ts';

/** More would not fit on a line. */
const RECOVERIES_LISTED_MAX = 2;

/** What x-guest-verify answers, as far as we look at it. */
export interface VerifyReply {
  readonly ok: boolean;
  readonly 'pages-checked': number;
  readonly 'pages-bad': number;
  readonly 'bad-pages'?: readonly unknown[];
}

/** What came of a demo. */
export interface DemoResult {
  readonly precopy: boolean;
  /** That have begun while the guest ran at the source. */
  readonly passes: number;
  /** query-migrate of the source, once completed. */
  readonly info: MigrateInfo;
  readonly faults: FaultState;
  /** For each cut: from the resume command to postcopy-active on both sides. */
  readonly recoveryMillis: readonly number[];
  readonly totalMillis: number;
  /** The run states after the end and before the guest was stopped for the proof. */
  readonly sourceRunState: string;
  readonly destinationRunState: string;
  /** How often the source set its guest running after it had stopped it. */
  readonly sourceResumeCount: number;
  readonly verified: VerifyReply;
}

/** The guest runs at the destination, and never ran again at the source. */
export function hasOneOwner(result: DemoResult): boolean {
  const { sourceRunState, destinationRunState, sourceResumeCount } = result;
  const isGone = sourceRunState === 'postmigrate' && sourceResumeCount === 0;
  return isGone && destinationRunState === 'running';
}

export function isProved(result: DemoResult): boolean {
  return hasOneOwner(result) && result.verified.ok;
}

/** The report, a line for each fact. */
export function reportLines(result: DemoResult): string[] {
  const { passes, precopy, info, faults, recoveryMillis, totalMillis } = result;
  const downtimeMicros = info['x-downtime-us'] ?? (info.downtime ?? 0) * 1000;
  const facts: readonly (readonly [string, string])[] = [
    ['precopy', plural(passes, 'pass', 'passes')],
    ['sent', sentText(info, precopy)],
    ['downtime', formatMillis(downtimeMicros / 1000)],
    ...(precopy ? [] : [['faults served', faultText(faults)] as const]),
    ...(recoveryMillis.length === 0 ? [] : [['recoveries', recoveryText(recoveryMillis)] as const]),
    ['total', `${formatMillis(totalMillis)}, start of the processes included`],
    ['owner', ownerText(result)],
    ['proof', proofText(result.verified)],
  ];
  return facts.map(([name, text]) => ` ${name.padEnd(15)}${text}`);
}

function sentText({ ram }: MigrateInfo, precopy: boolean): string {
  if (ram === undefined) return 'unknown';
  const total = `${formatBytes(ram.transferred)} for ${formatBytes(ram.total)} of memory`;
  if (precopy) return total;
  return `${total}, ${formatBytes(ram['postcopy-bytes'])} of it in postcopy`;
}

function faultText({ served, p50Millis, p99Millis }: FaultState): string {
  if (served === 0) return 'none';
  return `${served}, p50 ${formatMillis(p50Millis)}, p99 ${formatMillis(p99Millis)}`;
}

function recoveryText(millis: readonly number[]): string {
  const sorted = millis.toSorted((a, b) => a - b);
  const times =
    millis.length <= RECOVERIES_LISTED_MAX
      ? millis.map(formatMillis).join(', ')
      : `${formatMillis(sorted[0] ?? 0)} to ${formatMillis(sorted.at(-1) ?? 0)}`;
  return `${millis.length}; resume command to both sides active: ${times}`;
}

function ownerText(result: DemoResult): string {
  const { sourceRunState, destinationRunState, sourceResumeCount } = result;
  const where = `source ${sourceRunState}, destination ${destinationRunState}`;
  if (hasOneOwner(result)) return `one: ${where}`;
  return `WRONG: ${where}; resumed ${plural(sourceResumeCount, 'time')} at the source`;
}

function proofText(verified: VerifyReply): string {
  const { ok, 'pages-checked': checked, 'pages-bad': bad, 'bad-pages': pages = [] } = verified;
  if (ok) return `verified ${checked} of ${checked} pages: every byte is right`;
  return `WRONG: ${bad} of ${checked} pages; the first: ${JSON.stringify(pages)}`;
}
