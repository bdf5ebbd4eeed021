import type { JsonObject, QmpClient } from '@godwit/qmp';
import type { Command } from 'commander';

import {
  describeCompleted,
  followMigration,
  restsFor,
  restingStatuses,
  statusPrinter,
} from '../follow-migration.ts';
import { queryMigrate } from '../migrate-info.ts';
import { checkAddress, checkCountFrom, checkMillisFrom, checkRate } from '../option-values.ts';
import { addQmpOption, connectQmp, type QmpOption } from '../qmp-option.ts';
import { teach } from '../teach.ts';

interface MigrateOptions extends QmpOption {
  readonly postcopy?: true;
  readonly resume?: true;
  readonly wait?: true;
  readonly maxBandwidth?: number;
  readonly postcopyBandwidth?: number;
  readonly downtimeLimit?: number;
  readonly channels?: number;
  readonly tlsCreds?: string;
  readonly tlsHostname?: string;
  readonly json?: true;
}

const AFTER = `--wait goes on through lost links as long as the source tries others by itself (x-auto-recover).
The limits stay as they are set; left out, they are what they were (at first 128M/s and 300ms).
With --json: a line {"status", "millis"} for each step, and at the end {"result", "migrate"}, where
result is the status it has come to, or "started".`;

/** `godwit migrate`: moves the guest of a process to the one that listens at URI. */
export function registerMigrate(program: Command): void {
  const command = addQmpOption(program.command('migrate'))
    .description('migrate a guest to the process that listens at URI')
    .argument('<uri>', 'where the destination listens: unix:PATH or tcp:HOST:PORT', checkAddress)
    .option('--postcopy', 'let the guest run at the destination as soon as it can')
    .option('--resume', 'go on with a migration that is paused in postcopy')
    .option('--wait', 'follow it to its end; exit code 1 unless that is completed')
    .option(
      '--max-bandwidth <rate>',
      'while the guest runs here: 100M/s, 1Gbit/s; 0: no limit',
      checkRate,
    )
    .option('--postcopy-bandwidth <rate>', 'of all but requested pages; 0: no limit', checkRate)
    .option(
      '--downtime-limit <time>',
      'how long precopy may stop the guest: 300ms',
      checkMillisFrom(0, 2_000_000),
    )
    .option(
      '--channels <count>',
      'streams of pages beside the main one (multifd)',
      checkCountFrom(1, 32),
    )
    .option('--tls-creds <id>', "of the source's objects: how every connection is secured")
    .option('--tls-hostname <name>', "what the destination's certificate must name")
    .option('--json', 'for programs')
    .action(async (uri: string, options: MigrateOptions) => {
      await using client = await connectQmp(options);
      await migrate(client, uri, options);
    });
  const to = 'godwit migrate --qmp unix:/tmp/a.qmp unix:/tmp/b.mig';
  teach(
    command,
    [
      ['move it, and wait until it has arrived', `${to} --wait`],
      ['as fast as the link goes', `${to} --max-bandwidth 0 --wait`],
      ['a guest that writes faster than the link sends', `${to} --postcopy --wait`],
      ['go on after the link was lost', `${to} --resume --wait`],
    ],
    AFTER,
  );
}

async function migrate(client: QmpClient, uri: string, options: MigrateOptions): Promise<void> {
  const since = client.eventCursor;
  await setLimits(client, options);
  // Capabilities stand fast while a migration is under way, paused or not.
  if (options.resume !== true) await enableCapabilities(client, options);
  await client.execute('migrate', { uri, ...(options.resume === true ? { resume: true } : {}) });
  const onStatus = statusPrinter(options.json);
  if (options.postcopy === true && options.resume !== true) {
    const until = new Set([...restingStatuses, 'active']);
    const status = await followMigration(client, { since, until });
    if (status !== 'active') return await report(client, status, options);
    await client.execute('migrate-start-postcopy');
  }
  if (options.wait !== true) {
    const told = `started; to see it: godwit status --qmp ${options.qmp} --watch`;
    console.log(options.json === true ? JSON.stringify({ result: 'started' }) : told);
    return;
  }
  const rests = async (told: string): Promise<boolean> => await restsFor(client, told);
  const status = await followMigration(client, { since, until: restingStatuses, onStatus, rests });
  await report(client, status, options);
}

async function setLimits(client: QmpClient, options: MigrateOptions): Promise<void> {
  const given = {
    'max-bandwidth': options.maxBandwidth,
    'max-postcopy-bandwidth': options.postcopyBandwidth,
    'downtime-limit': options.downtimeLimit,
    'multifd-channels': options.channels,
    'tls-creds': options.tlsCreds,
    'tls-hostname': options.tlsHostname,
  };
  const set = Object.entries(given).filter(([, value]) => value !== undefined);
  if (set.length === 0) return;
  const parameters: JsonObject = Object.fromEntries(set);
  await client.execute('migrate-set-parameters', parameters);
}

async function enableCapabilities(client: QmpClient, options: MigrateOptions): Promise<void> {
  const names = [
    'events',
    ...(options.postcopy === true ? ['postcopy-ram'] : []),
    ...(options.channels === undefined ? [] : ['multifd']),
  ];
  const capabilities = names.map((capability) => ({ capability, state: true }));
  await client.execute('migrate-set-capabilities', { capabilities });
}

/** @throws {Error} it did not complete: with the reason, and what to do. */
async function report(client: QmpClient, status: string, options: MigrateOptions): Promise<void> {
  const info = await queryMigrate(client);
  if (options.json === true) console.log(JSON.stringify({ result: status, migrate: info }));
  if (status === 'completed') {
    if (options.json !== true) console.log(describeCompleted(info));
    return;
  }
  const reason = info['error-desc'] ?? 'no reason given';
  const remedy =
    status === 'postcopy-paused' ? `; to go on: godwit recover --qmp ${options.qmp} URI` : '';
  throw new Error(`the migration is ${status}: ${reason}${remedy}`);
}
