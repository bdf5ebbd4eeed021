import { ChannelError } from '@godwit/transport';
import { MigrationError } from '../errors.ts';
import type { MigrationStatus } from './status.ts';

/*
 * What a command is refused with, and what it ends a link with: the same words on both sides. Where
 * QEMU has a text for it, it comes first.
 */

/** After the order to run, or where there is nothing to give back. */
export function cannotCancel(status: MigrationStatus): MigrationError {
  return wrongState(
    'Postcopy migration in progress, cannot cancel. ' +
      `In ${status} the guest may run at the destination; migrate with resume ends the migration`,
  );
}

export function cannotPause(status: MigrationStatus): MigrationError {
  return wrongState(
    'migrate-pause is currently only supported during postcopy-active or postcopy-recover state, ' +
      `not in ${status}`,
  );
}

export function cannotRecover(status: MigrationStatus): MigrationError {
  return wrongState(`Migrate recover can only be run when postcopy is paused. It is in ${status}`);
}

export function cannotResume(): MigrationError {
  return wrongState('Cannot resume if there is no paused migration');
}

export function postcopyIsOff(): MigrationError {
  return wrongState(
    'Enable postcopy with migrate_set_capability before the start of migration ' +
      "(capability 'postcopy-ram')",
  );
}

export function pausedByUser(): MigrationError {
  const message = 'Postcopy migration is paused by the user';
  return new MigrationError('ERR_POSTCOPY_PAUSED_BY_USER', message);
}

/** The reason of a link that `yank` has shut down; what it means for the guest depends on the state. */
export function yanked(): ChannelError {
  return new ChannelError('ERR_ABORTED', 'yank has shut down every channel of the migration');
}

function wrongState(message: string): MigrationError {
  return new MigrationError('ERR_STATE', message);
}
