import type { ArgumentSpec } from './arguments.ts';
import type { CommandTable, EventTable } from './command-table.ts';
import { capabilitiesArguments } from './connection.ts';
import { QmpError } from './errors.ts';
import { introspect, schemaInfoList } from './introspection.ts';
import type { QmpVersion } from './messages.ts';

const versionInfo = {
  type: 'object',
  members: {
    qemu: {
      type: 'object',
      members: { major: { type: 'int' }, minor: { type: 'int' }, micro: { type: 'int' } },
    },
    package: { type: 'str' },
  },
} as const satisfies ArgumentSpec;

const commandInfoList = {
  type: 'list',
  of: { type: 'object', members: { name: { type: 'str' } } },
} as const satisfies ArgumentSpec;

/** What every server answers, whatever it serves; `commands` is the whole table, these included. */
export function builtinCommands(
  version: QmpVersion,
  commands: () => CommandTable,
  events: EventTable,
): CommandTable {
  return {
    // The first one never gets here: negotiation is answered before the queue.
    qmp_capabilities: {
      arguments: capabilitiesArguments,
      run() {
        const desc = 'Capabilities negotiation is already complete, command ignored';
        throw new QmpError('CommandNotFound', desc);
      },
    },
    'query-version': { returns: versionInfo, run: () => version },
    'query-commands': {
      returns: commandInfoList,
      run: () => Object.keys(commands()).map((name) => ({ name })),
    },
    'query-qmp-schema': { returns: schemaInfoList, run: () => introspect(commands(), events) },
  };
}
