import {
  type MigrationStatus,
  PAGE_MAP_CELLS_MAX,
  parameterRules,
  sourceTransitions,
  unsupportedParameters,
} from '@godwit/core';

import type { ArgumentsSchema } from '../arguments.ts';
import { type CommandTable, defineCommand } from '../command-table.ts';
import type { Machine } from './machine.ts';
import { QmpError } from '../errors.ts';
import { addressArguments, migrationAddress, uriAddress } from './migration-address.ts';

/** Any value here: the engine names the parameter, its range and its unit when it refuses one. */
const parameterArguments: ArgumentsSchema = Object.fromEntries(
  [...Object.keys(parameterRules), ...unsupportedParameters].map((name) => [
    name,
    { type: 'any', optional: true },
  ]),
);

/** Every status that a migration may be expected in; two are QEMU's alone. */
const statuses = [...Object.keys(sourceTransitions), 'wait-unplug', 'colo'];

export function migrationCommands({ migrations }: Machine): CommandTable {
  return {
    migrate: defineCommand({
      arguments: {
        ...addressArguments,
        resume: { type: 'bool', optional: true },
        // As in QEMU: never waits, whatever it says.
        detach: { type: 'bool', optional: true },
      },
      async run(args) {
        const address = migrationAddress(args, 'migrate');
        if (args.resume === true) migrations.resume(address);
        else await migrations.start(address);
      },
    }),
    'migrate-start-postcopy': { run: () => migrations.startPostcopy() },
    migrate_cancel: { run: () => migrations.cancel() },
    'migrate-continue': defineCommand({
      arguments: { state: { type: 'str', values: statuses } },
      // One of `statuses`: two of them no migration is ever in.
      run: ({ state }) => migrations.continueFrom(state as MigrationStatus),
    }),
    // Out of band: a command that hangs must not keep the user from breaking a link.
    'migrate-pause': { oob: true, run: () => migrations.pause() },
    'migrate-incoming': defineCommand({
      arguments: { ...addressArguments, 'exit-on-error': { type: 'bool', optional: true } },
      async run(args) {
        const address = migrationAddress(args, 'migrate-incoming');
        await migrations.listen(address, args['exit-on-error'] ?? true);
      },
    }),
    'migrate-recover': defineCommand({
      oob: true,
      arguments: { uri: { type: 'str' } },
      run: ({ uri }) => migrations.recoverAt(uriAddress(uri)),
    }),
    'query-migrate': { run: () => migrations.info() },
    /** Ours. At most so many cells, for all of guest RAM. */
    'x-query-page-map': defineCommand({
      arguments: { cells: { type: 'int' } },
      run: ({ cells }) => migrations.pageMap(checkCells(cells)),
    }),
    'migrate-set-capabilities': defineCommand({
      arguments: {
        capabilities: {
          type: 'list',
          of: {
            type: 'object',
            members: { capability: { type: 'str' }, state: { type: 'bool' } },
          },
        },
      },
      run: ({ capabilities }) => migrations.changeCapabilities(capabilities),
    }),
    'query-migrate-capabilities': {
      run: () =>
        Object.entries(migrations.capabilities).map(([capability, state]) => ({
          capability,
          state,
        })),
    },
    'migrate-set-parameters': {
      arguments: parameterArguments,
      run: (args) => migrations.changeParameters(args),
    },
    'query-migrate-parameters': { run: () => migrations.parameters },
  };
}

function checkCells(cells: number): number {
  if (cells >= 1 && cells <= PAGE_MAP_CELLS_MAX) return cells;
  throw new QmpError('GenericError', `Parameter 'cells' expects 1 to ${PAGE_MAP_CELLS_MAX}`);
}
