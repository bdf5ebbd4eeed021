import type { Painter } from '../painter.ts';
import { limits, type Verdict } from './why.ts';

/** What `godwit why` says: the verdict first, what shows it below, and what would help. */
export function whyLines({ findings, status, figures }: Verdict, paint: Painter): string[] {
  const looked = `${status}, looked at for ${figures.seconds.toFixed(1)} s`;
  return findings.flatMap(({ limit, evidence, advice }, index) => [
    `${index === 0 ? '' : 'also '}${paint(index === 0 ? 'strong' : 'plain', limit)}: ${limits[limit]}`,
    ...evidence.map((line) => `  ${line}`),
    ...(advice === undefined ? [] : [paint('good', `  → ${advice}`)]),
    ...(index === 0 ? [paint('faint', `  (${looked})`)] : []),
  ]);
}
