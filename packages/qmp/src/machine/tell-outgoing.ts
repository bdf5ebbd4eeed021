import type { SourceMigration } from '@godwit/core';

/** The events of a migration; only where the capability `events` is on. */
export type ToldEvent =
  | 'MIGRATION'
  | 'MIGRATION_PASS'
  | 'X_MIGRATION_STALL'
  | 'X_MIGRATION_RECOVERY'
  | 'X_MIGRATION_RAM_DIFFERS';

/** What an outgoing migration tells beside its status. */
export function tellOutgoing(
  outgoing: SourceMigration,
  tell: (event: ToldEvent, data: object) => void,
): void {
  outgoing.on('pass', (pass) => tell('MIGRATION_PASS', { pass }));
  outgoing.on('stall', (dirtyBytes) => tell('X_MIGRATION_STALL', { remaining: dirtyBytes }));
  outgoing.on('recovery', (news) => tell('X_MIGRATION_RECOVERY', news));
}

/** A migration that has completed, and yet not well: with `x-ram-digest`, after postcopy. */
export function tellDifference(
  { status, error }: SourceMigration,
  tell: (event: ToldEvent, data: object) => void,
): void {
  if (status !== 'completed' || error === undefined) return;
  tell('X_MIGRATION_RAM_DIFFERS', { reason: error.message });
}
