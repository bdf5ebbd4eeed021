import type { QmpClient } from '@godwit/qmp';
import type { Command } from 'commander';

import { followMigration, statusPrinter } from '../follow-migration.ts';
import { isSource, queryMigrate, uriOf } from '../migrate-info.ts';
import { checkAddress } from '../option-values.ts';
import { addQmpOption, connectQmp, type QmpOption } from '../qmp-option.ts';
import { teach } from '../teach.ts';

/** Where an attempt at recovery ends, well or not. */
const recoveryStatuses: ReadonlySet<string> = new Set([
  'postcopy-active',
  'completed',
  'postcopy-paused',
]);

interface RecoverOptions extends QmpOption {
  readonly json?: true;
}

const AFTER = `With --json: at the source a line {"status", "millis"} for each step, and {"result", "migrate"};
at the destination {"result": "listening", "uri"}.`;

/** `godwit recover`: a new link for a migration that lost its own in postcopy. */
export function registerRecover(program: Command): void {
  const command = addQmpOption(program.command('recover'))
    .description('go on with a migration that is paused in postcopy')
    .argument(
      '<uri>',
      'at a source: where to reach the destination; there: where to listen now',
      checkAddress,
    )
    .option('--json', 'for programs')
    .action(async (uri: string, options: RecoverOptions) => {
      await using client = await connectQmp(options);
      const info = await queryMigrate(client);
      if (info.status !== 'postcopy-paused') {
        const found = info.status ?? 'none';
        throw new Error(`nothing to recover here: the migration is not paused but ${found}`);
      }
      const json = options.json === true;
      await (isSource(info) ? resumeSource(client, uri, json) : moveDestination(client, uri, json));
    });
  teach(
    command,
    [
      [
        'the network is back: from the source, to where the destination listens',
        'godwit recover --qmp unix:/tmp/a.qmp unix:/tmp/b.mig',
      ],
      [
        'another network: first the destination listens there, then the source goes there',
        'godwit recover --qmp unix:/tmp/b.qmp tcp:127.0.0.1:0',
      ],
    ],
    AFTER,
  );
}

async function resumeSource(client: QmpClient, uri: string, json: boolean): Promise<void> {
  const since = client.eventCursor;
  await client.execute('migrate', { uri, resume: true });
  const onStatus = statusPrinter(json);
  const status = await followMigration(client, { since, until: recoveryStatuses, onStatus });
  const info = await queryMigrate(client);
  if (json) console.log(JSON.stringify({ result: status, migrate: info }));
  if (status !== 'postcopy-paused') return;
  throw new Error(`not recovered, still paused: ${info['error-desc'] ?? 'no reason given'}`);
}

/** Only opens the door: the source must come, and tells what becomes of it. */
async function moveDestination(client: QmpClient, uri: string, json: boolean): Promise<void> {
  await client.execute('migrate-recover', { uri });
  const { 'socket-address': addresses = [] } = await queryMigrate(client);
  const there = addresses.map(uriOf).at(-1) ?? uri;
  const told = `listening at ${there}; now the source: godwit recover --qmp SOURCE ${there}`;
  console.log(json ? JSON.stringify({ result: 'listening', uri: there }) : told);
}
