import { type MigrationStatus, PAGE_MAP_CELLS_MAX, sourceTransitions } from '@godwit/core';

import { type CommandTable, defineCommand } from '../command-table.ts';
import { QmpError } from '../errors.ts';
import type { Machine } from './machine.ts';
import {
  addressArguments,
  incomingAddress,
  outgoingAddress,
  uriAddress,
} from './migration-address.ts';
import { migrationInfoSpec } from './migration-info.ts';
import { pageMapSpec } from './page-map.ts';
import { signedReceiptSpec } from './receipt.ts';

/** Every status that a migration may be expected in; two are QEMU's alone. */
const statuses = [...Object.keys(sourceTransitions), 'wait-unplug', 'colo'];

export function migrationCommands({ migrations, linkProbe }: Machine): CommandTable {
  return {
    migrate: defineCommand({
      arguments: {
        ...addressArguments,
        resume: { type: 'bool', optional: true },
        // As in QEMU: never waits, whatever it says.
        detach: { type: 'bool', optional: true },
      },
      async run(args) {
        const address = outgoingAddress(args);
        migrations.settings.forDialling(); // what cannot be secured is refused
        if (args.resume === true) return migrations.resume(address);
        await linkProbe.end();
        await migrations.start(address);
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
        migrations.refuseListening(); // QEMU's order: the state first, the address then
        migrations.settings.forListening(); // as above
        await migrations.listen(incomingAddress(args), args['exit-on-error'] ?? true);
      },
    }),
    'migrate-recover': defineCommand({
      oob: true,
      arguments: { uri: { type: 'str' } },
      async run({ uri }) {
        migrations.refuseRecovery();
        migrations.settings.forListening(); // as above
        await migrations.recoverAt(uriAddress(uri));
      },
    }),
    /** Ours. At most so many cells, for all of guest RAM. */
    'x-query-page-map': defineCommand({
      arguments: { cells: { type: 'int' } },
      returns: pageMapSpec,
      run: ({ cells }) => migrations.pageMap(checkCells(cells)),
    }),
    /** Ours. */
    'x-query-migration-receipt': {
      returns: signedReceiptSpec,
      run: () => migrations.receipt(),
    },
    'query-migrate': { returns: migrationInfoSpec, run: () => migrations.info() },
  };
}

function checkCells(cells: number): number {
  if (cells >= 1 && cells <= PAGE_MAP_CELLS_MAX) return cells;
  throw new QmpError('GenericError', `Parameter 'cells' expects 1 to ${PAGE_MAP_CELLS_MAX}`);
}
