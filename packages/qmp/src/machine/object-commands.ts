import { type CommandTable, defineCommand } from '../command-table.ts';
import type { Machine } from './machine.ts';
import { objectArguments, securityObject } from './security-object.ts';

/** QEMU's user-creatable objects, of which those exist that secure a connection. */
export function objectCommands({ migrations: { settings } }: Machine): CommandTable {
  return {
    'object-add': defineCommand({
      arguments: objectArguments,
      run: (args) => settings.security.add(securityObject(args)),
    }),
    'object-del': defineCommand({
      arguments: { id: { type: 'str' } },
      run: ({ id }) => settings.security.remove(id),
    }),
  };
}
