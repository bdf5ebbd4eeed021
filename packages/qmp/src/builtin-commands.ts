import type { CommandTable } from './command-table.ts';
import { capabilitiesArguments } from './connection.ts';
import { QmpError } from './errors.ts';
import type { QmpVersion } from './messages.ts';

/** What every server answers, whatever it serves; `commands` is the whole table, these included. */
export function builtinCommands(version: QmpVersion, commands: () => CommandTable): CommandTable {
  return {
    // The first one never gets here: negotiation is answered before the queue.
    qmp_capabilities: {
      arguments: capabilitiesArguments,
      run() {
        const desc = 'Capabilities negotiation is already complete, command ignored';
        throw new QmpError('CommandNotFound', desc);
      },
    },
    'query-version': { run: () => version },
    'query-commands': { run: () => Object.keys(commands()).map((name) => ({ name })) },
  };
}
