import { type Examined, type Finding, type FindingLevel, findingsOf } from './doctor-findings.ts';
import type { Ink, Painter } from './painter.ts';

const NAME_CELLS = 16;
const VERDICT_CELLS = 9;

const verdicts = {
  needed: ['MISSING', 'bad'],
  userfault: ['MISSING', 'bad'],
  optional: ['absent', 'faint'],
  advice: ['small', 'warn'],
} as const satisfies Record<FindingLevel, readonly [string, Ink]>;

/** Whether this host can migrate guests at all: libc is spoken to on Linux alone. */
export function isFit(examined: Examined): boolean {
  return examined.host.platform === 'linux' && hasAll(examined, 'needed');
}

function hasAll(examined: Examined, wanted: FindingLevel): boolean {
  return findingsOf(examined).every(({ level, ok }) => level !== wanted || ok);
}

/** What `godwit doctor` says. */
export function doctorLines(examined: Examined, paint: Painter): string[] {
  const { host } = examined;
  return [
    `${host.platform} ${host.kernelRelease} ${host.arch}, pages of ${host.pageBytes} bytes`,
    '',
    ...findingsOf(examined).flatMap((finding) => findingLines(finding, paint)),
    '',
    conclusion(examined, paint),
  ];
}

function conclusion(examined: Examined, paint: Painter): string {
  const { platform } = examined.host;
  if (platform !== 'linux') {
    return paint('bad', 'This host cannot migrate guests: it is not Linux.');
  }
  if (!isFit(examined)) {
    return paint('bad', 'This host cannot migrate guests: see what is MISSING above.');
  }
  if (hasAll(examined, 'userfault')) return paint('good', 'This host can migrate guests.');
  const only = 'This host can migrate guests with portable memory only: see what is MISSING above.';
  return `${paint('warn', only)}\ngodwit guest chooses it by itself; the guest checks and marks its pages in software.`;
}

function findingLines(finding: Finding, paint: Painter): string[] {
  const { name, level, detail, ok, remedies } = finding;
  const [verdict, ink] = ok ? (['ok', 'good'] as const) : verdicts[level];
  const first = ok ? 'wider' : '→';
  const told = `${paint(ink, verdict.padEnd(VERDICT_CELLS))}${name.padEnd(NAME_CELLS)}${detail}`;
  return [
    told.trimEnd(),
    ...remedies.map((remedy, index) => {
      const sign = index === 0 ? first : remedy.startsWith('or ') ? '' : 'or';
      return `${sign.padStart(NAME_CELLS + VERDICT_CELLS - 1)} ${remedy}`;
    }),
  ];
}
