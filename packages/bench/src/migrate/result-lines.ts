import type { MigrateBenchResult } from './bench-migrate.ts';
import { describeOptions, explainMemory } from './describe-options.ts';
import { tableLines } from './table.ts';

/** What a benchmark has measured, for a terminal. */
export function resultLines({ machine, options, figures }: MigrateBenchResult): string[] {
  return [
    `godwit bench migrate: ${describeOptions(options)}`,
    machine,
    explainMemory(options),
    '',
    ...tableLines(figures, options.runs),
  ];
}
