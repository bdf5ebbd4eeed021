import type { CommandTable } from '../command-table.ts';
import { dirtyRateCommands } from './dirty-rate-commands.ts';
import { guestCommands } from './guest-commands.ts';
import { linkProbeCommands } from './link-probe-commands.ts';
import type { Machine } from './machine.ts';
import { objectCommands } from './object-commands.ts';
import { migrationCommands } from './migration-commands.ts';
import { settingsCommands } from './settings-commands.ts';
import { yankCommands } from './yank-commands.ts';

/** All that a QMP server for this machine answers beside what every server does. */
export function machineCommands(machine: Machine): CommandTable {
  return {
    ...guestCommands(machine),
    ...migrationCommands(machine),
    ...settingsCommands(machine),
    ...dirtyRateCommands(machine),
    ...linkProbeCommands(machine),
    ...yankCommands(machine),
    ...objectCommands(machine),
  };
}
