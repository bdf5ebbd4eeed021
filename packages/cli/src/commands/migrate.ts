import type { QmpClient } from '@godwit/qmp';
import type { Command } from 'commander';

import {
  describeCompleted,
  followMigration,
  restingStatuses,
  statusPrinter,
} from '../follow-migration.ts';
import { queryMigrate } from '../migrate-info.ts';
import { addQmpOption, connectQmp, type QmpOption } from '../qmp-option.ts';

interface MigrateOptions extends QmpOption {
  readonly postcopy?: true;
  readonly resume?: true;
  readonly wait?: true;
}

/** `godwit migrate`: moves the guest of a process to the one that listens at URI. */
export function registerMigrate(program: Command): void {
  addQmpOption(program.command('migrate'))
    .description('migrate a guest to the process that listens at URI')
    .argument('<uri>', 'where the destination listens: unix:PATH or tcp:HOST:PORT')
    .option('--postcopy', 'let the guest run at the destination as soon as it can')
    .option('--resume', 'go on with a migration that is paused in postcopy')
    .option('--wait', 'follow it to its end; exit code 1 unless that is completed')
    .action(async (uri: string, options: MigrateOptions) => {
      await using client = await connectQmp(options);
      await migrate(client, uri, options);
    });
}

async function migrate(client: QmpClient, uri: string, options: MigrateOptions): Promise<void> {
  const since = client.eventCursor;
  // Capabilities stand fast while a migration is under way, paused or not.
  if (options.resume !== true) await enableCapabilities(client, options.postcopy === true);
  await client.execute('migrate', { uri, ...(options.resume === true ? { resume: true } : {}) });
  const onStatus = statusPrinter();
  if (options.postcopy === true && options.resume !== true) {
    const until = new Set([...restingStatuses, 'active']);
    const status = await followMigration(client, { since, until });
    if (status !== 'active') return await report(client, status, options);
    await client.execute('migrate-start-postcopy');
  }
  if (options.wait !== true) {
    console.log(`started; to see it: godwit status --qmp ${options.qmp} --watch`);
    return;
  }
  const status = await followMigration(client, { since, until: restingStatuses, onStatus });
  await report(client, status, options);
}

async function enableCapabilities(client: QmpClient, postcopy: boolean): Promise<void> {
  const names = ['events', ...(postcopy ? ['postcopy-ram'] : [])];
  const capabilities = names.map((capability) => ({ capability, state: true }));
  await client.execute('migrate-set-capabilities', { capabilities });
}

/** @throws {Error} it did not complete: with the reason, and what to do. */
async function report(client: QmpClient, status: string, { qmp }: MigrateOptions): Promise<void> {
  const info = await queryMigrate(client);
  if (status === 'completed') {
    console.log(describeCompleted(info));
    return;
  }
  const reason = info['error-desc'] ?? 'no reason given';
  const remedy = status === 'postcopy-paused' ? `; to go on: godwit recover --qmp ${qmp} URI` : '';
  throw new Error(`the migration is ${status}: ${reason}${remedy}`);
}
