import type { SourceMigration } from '@godwit/core';

/** The events of a migration; only where the capability `events` is on. */
export type ToldEvent =
  | 'MIGRATION'
  | 'MIGRATION_PASS'
  | 'X_MIGRATION_STALL'
  | 'X_MIGRATION_RECOVERY';

/** What an outgoing migration tells beside its status. */
export function tellOutgoing(
  outgoing: SourceMigration,
  tell: (event: ToldEvent, data: object) => void,
): void {
  outgoing.on('pass', (pass) => tell('MIGRATION_PASS', { pass }));
  outgoing.on('stall', (dirtyBytes) => tell('X_MIGRATION_STALL', { remaining: dirtyBytes }));
  outgoing.on('recovery', (news) => tell('X_MIGRATION_RECOVERY', news));
}
