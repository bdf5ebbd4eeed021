import { type Guest, SourceMigration } from '@godwit/core';
import type { MigrationSettings } from './migration-settings.ts';
import type { MigrationsOptions } from './migrations-owner.ts';

/** The events of a migration; only where the capability `events` is on. */
export type ToldEvent =
  | 'MIGRATION'
  | 'MIGRATION_PASS'
  | 'X_MIGRATION_STALL'
  | 'X_MIGRATION_RECOVERY'
  | 'X_MIGRATION_RAM_DIFFERS';

/** An outgoing migration by the settings of this process. */
export function newOutgoing(
  guest: Guest,
  { capabilities, parameters, security }: MigrationSettings,
  { uuid }: MigrationsOptions,
): SourceMigration {
  return new SourceMigration(guest, { capabilities, parameters, security, uuid });
}

/** What an outgoing migration tells, its status first. */
export function tellOutgoing(
  outgoing: SourceMigration,
  tell: (event: ToldEvent, data: object) => void,
): void {
  outgoing.on('status', (status) => {
    tell('MIGRATION', { status });
    tellDifference(outgoing, tell);
  });
  outgoing.on('pass', (pass) => tell('MIGRATION_PASS', { pass }));
  outgoing.on('stall', (dirtyBytes) => tell('X_MIGRATION_STALL', { remaining: dirtyBytes }));
  outgoing.on('recovery', (news) => tell('X_MIGRATION_RECOVERY', news));
}

/** A migration that has completed, and yet not well: with `x-ram-digest`, after postcopy. */
function tellDifference(
  { status, error }: SourceMigration,
  tell: (event: ToldEvent, data: object) => void,
): void {
  if (status !== 'completed' || error === undefined) return;
  tell('X_MIGRATION_RAM_DIFFERS', { reason: error.message });
}
