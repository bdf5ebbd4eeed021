import type { ArgumentSpec } from '../arguments.ts';
import { type CommandTable, defineCommand } from '../command-table.ts';
import { QmpError } from '../errors.ts';
import type { Machine } from './machine.ts';

/** QEMU's YankInstance; of its kinds only `migration` ever exists here. */
const yankInstanceSpec = {
  type: 'union',
  tag: 'type',
  variants: {
    'block-node': { type: 'object', members: { 'node-name': { type: 'str' } } },
    chardev: { type: 'object', members: { id: { type: 'str' } } },
    migration: { type: 'object', members: {} },
  },
} as const satisfies ArgumentSpec;

/** For when everything hangs: out of band, and without asking the migration. */
export function yankCommands({ migrations }: Machine): CommandTable {
  return {
    'query-yank': {
      oob: true,
      returns: { type: 'list', of: yankInstanceSpec },
      run: () => (migrations.canYank ? [{ type: 'migration' }] : []),
    },
    yank: defineCommand({
      oob: true,
      arguments: { instances: { type: 'list', of: yankInstanceSpec } },
      run({ instances }) {
        const areThere = instances.every(({ type }) => type === 'migration' && migrations.canYank);
        if (!areThere) throw new QmpError('DeviceNotFound', 'Instance not found');
        if (instances.length > 0) migrations.yank();
      },
    }),
  };
}
