import { describePeer } from '../peer/describe-peer.ts';
import type { MigrateBenchResult } from './bench-migrate.ts';
import { describeOptions, explainMemory } from './describe-options.ts';
import { tableLines } from './table.ts';

/** What a benchmark has measured, for a terminal. */
export function resultLines({ machine, options, peer, figures }: MigrateBenchResult): string[] {
  return [
    `godwit bench migrate: ${describeOptions(options)}`,
    machine,
    explainMemory(options),
    ...(peer === undefined ? [] : [describePeer(peer)]),
    '',
    ...tableLines(figures, options.runs),
  ];
}
