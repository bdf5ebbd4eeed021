import { DestinationMigration, type Guest } from '@godwit/core';

import type { MigrationSettings } from './migration-settings.ts';
import type { MigrationsOptions } from './migrations-owner.ts';

/** An incoming migration by the settings of this process. */
export function newIncoming(
  guest: Guest,
  settings: MigrationSettings,
  options: MigrationsOptions,
): DestinationMigration {
  return new DestinationMigration(guest, {
    parameters: () => settings.parameters,
    ...options,
    pageChannels: settings.capabilities.multifd ? settings.parameters['multifd-channels'] : 0,
    // As it is when somebody asks: it may be switched on after the listening has begun.
    get blocktime() {
      return settings.capabilities['postcopy-blocktime'];
    },
  });
}
