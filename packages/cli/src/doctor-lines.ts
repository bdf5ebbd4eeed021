import { type Examined, type Finding, type FindingLevel, findingsOf } from './doctor-findings.ts';
import type { Ink, Painter } from './painter.ts';

const NAME_CELLS = 16;
const VERDICT_CELLS = 9;

const verdicts = {
  needed: ['MISSING', 'bad'],
  optional: ['absent', 'faint'],
  advice: ['small', 'warn'],
} as const satisfies Record<FindingLevel, readonly [string, Ink]>;

/** Whether guests of the default memory mode can migrate here. */
export function isFit(examined: Examined): boolean {
  return findingsOf(examined).every(({ level, ok }) => level !== 'needed' || ok);
}

/** What `godwit doctor` says. */
export function doctorLines(examined: Examined, paint: Painter): string[] {
  const { host } = examined;
  const isGood = isFit(examined);
  return [
    `${host.platform} ${host.kernelRelease} ${host.arch}, pages of ${host.pageBytes} bytes`,
    '',
    ...findingsOf(examined).flatMap((finding) => findingLines(finding, paint)),
    '',
    isGood
      ? paint('good', 'This host can migrate guests.')
      : paint('bad', 'This host cannot migrate guests: see what is MISSING above.'),
  ];
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
