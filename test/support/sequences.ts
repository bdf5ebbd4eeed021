import assert from 'node:assert/strict';
import { destinationTransitions, sourceTransitions } from '@godwit/core';
import type { GuestProcess } from './guest-process.ts';

/** The MIGRATION events of a migration that nothing disturbs. */
export const precopyOfSource = ['setup', 'active', 'device', 'completed'];
export const precopyOfDestination = ['setup', 'active', 'completed'];
export const postcopyOfSource = [
  'setup',
  'active',
  'device',
  'postcopy-device',
  'postcopy-active',
  'completed',
];
export const postcopyOfDestination = ['setup', 'active', 'postcopy-active', 'completed'];

const finalStatuses: ReadonlySet<string> = new Set(['cancelled', 'completed', 'failed']);

/**
 * Every step that a process told is one of the engine's tables; a process may be a destination first
 * and a source afterwards, and a source more than once.
 */
export function assertLegalSteps(guest: GuestProcess): void {
  const told = guest.statuses;
  let begin = 0;
  for (let end = 1; end <= told.length; end += 1) {
    if (end < told.length && told[end] !== 'setup') continue;
    const one = ['none', ...told.slice(begin, end)];
    const isLegal = [sourceTransitions, destinationTransitions].some((table) => fits(one, table));
    assert(isLegal, `${guest.name} told ${one.join(' ')}: no table has these steps`);
    const last = one.at(-1) as string;
    const isLastMigration = end === told.length;
    assert(
      isLastMigration || finalStatuses.has(last) || last === 'setup',
      `${guest.name} began a migration in ${last}`,
    );
    begin = end;
  }
}

function fits(
  statuses: readonly string[],
  table: Readonly<Record<string, readonly string[]>>,
): boolean {
  return statuses.every((status, i) => {
    const next = statuses[i + 1];
    return next === undefined || table[status]?.includes(next) === true;
  });
}
