import type { QmpClient } from '@godwit/qmp';
import type { Command } from 'commander';

import { followMigration, statusPrinter } from '../follow-migration.ts';
import { isSource, queryMigrate, uriOf } from '../migrate-info.ts';
import { addQmpOption, connectQmp, type QmpOption } from '../qmp-option.ts';

/** Where an attempt at recovery ends, well or not. */
const recoveryStatuses: ReadonlySet<string> = new Set([
  'postcopy-active',
  'completed',
  'postcopy-paused',
]);

/** `godwit recover`: a new link for a migration that lost its own in postcopy. */
export function registerRecover(program: Command): void {
  addQmpOption(program.command('recover'))
    .description('go on with a migration that is paused in postcopy')
    .argument('<uri>', 'at a source: where to reach the destination; there: where to listen now')
    .action(async (uri: string, options: QmpOption) => {
      await using client = await connectQmp(options);
      const info = await queryMigrate(client);
      if (info.status !== 'postcopy-paused') {
        const found = info.status ?? 'none';
        throw new Error(`nothing to recover here: the migration is not paused but ${found}`);
      }
      await (isSource(info) ? resumeSource(client, uri) : moveDestination(client, uri));
    });
}

async function resumeSource(client: QmpClient, uri: string): Promise<void> {
  const since = client.eventCursor;
  await client.execute('migrate', { uri, resume: true });
  const onStatus = statusPrinter();
  const status = await followMigration(client, { since, until: recoveryStatuses, onStatus });
  if (status !== 'postcopy-paused') return;
  const { 'error-desc': reason = 'no reason given' } = await queryMigrate(client);
  throw new Error(`not recovered, still paused: ${reason}`);
}

/** Only opens the door: the source must come, and tells what becomes of it. */
async function moveDestination(client: QmpClient, uri: string): Promise<void> {
  await client.execute('migrate-recover', { uri });
  const { 'socket-address': addresses = [] } = await queryMigrate(client);
  const there = addresses.map(uriOf).at(-1) ?? uri;
  console.log(`listening at ${there}; now the source: godwit recover --qmp SOURCE ${there}`);
}
