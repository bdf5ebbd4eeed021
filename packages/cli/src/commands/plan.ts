import type { QmpClient } from '@godwit/qmp';
import { type Address, ChannelError, formatAddress, parseAddress } from '@godwit/transport';
import { type Command, InvalidArgumentError, Option } from 'commander';

import { UsageError } from '../errors.ts';
import { followMigration, restingStatuses } from '../follow-migration.ts';
import { queryMigrate, queryStatus } from '../migrate-info.ts';
import { measureGuest } from '../plan/measure-guest.ts';
import { BorrowedSettings } from '../plan/borrowed-settings.ts';
import { measureLink } from '../plan/measure-link.ts';
import { type Outcome, outcomeLines, planLines } from '../plan/plan-lines.ts';
import { type Plan, type PlanInput, predict } from '../plan/predict.ts';
import { addQmpOption, connectQmp, type QmpOption } from '../qmp-option.ts';
import { checkMillisFrom, checkPositiveRate, checkRate } from '../option-values.ts';
import { teach } from '../teach.ts';

const EXAMPLES = [
  ['what would it cost, and which way is better?', 'godwit plan --qmp unix:/tmp/a.qmp'],
  [
    'over this link, with this limit',
    'godwit plan --qmp unix:/tmp/a.qmp --to tcp:10.0.0.2:4444 --bandwidth 1G/s --downtime-limit 50ms',
  ],
  [
    'do so, and show prediction beside outcome',
    'godwit plan --qmp unix:/tmp/a.qmp --to unix:/tmp/b.mig --then-migrate',
  ],
] as const;

const AFTER = `The guest runs on while it is watched (calc-dirty-rate). Without --bandwidth the source's max-bandwidth counts.
With --to the source's process measures the link (x-probe-link: about 0.6 s at full speed); --link says instead what it
carries, for the last pages and for postcopy, which max-bandwidth does not limit. Without either 1.5 GB/s is assumed.
--then-migrate sets limits and capabilities for the one migration and puts them back when it is over.
With --json: {"input", "plan", "mode", "outcome"}, the last two with --then-migrate.`;

interface PlanOptions extends QmpOption {
  readonly to?: Address;
  readonly bandwidth?: number;
  readonly link?: number;
  readonly downtimeLimit?: number;
  readonly sample: number;
  readonly thenMigrate?: true;
  readonly mode?: 'precopy' | 'postcopy';
  readonly json?: true;
}

/** `godwit plan`: what a migration would cost, before it is begun. */
export function registerPlan(program: Command): void {
  const command = addQmpOption(program.command('plan'))
    .description('predict what a migration would cost, and say which way to take')
    .option('--to <uri>', 'where the destination listens: measures the link to it', checkUri)
    .option('--bandwidth <rate>', "instead of the source's max-bandwidth", checkRate)
    .option('--link <rate>', 'what the link carries, instead of measuring', checkPositiveRate)
    .option('--downtime-limit <time>', "instead of the source's", checkMillisFrom(0, 2_000_000))
    .option('--sample <time>', 'how long to watch the guest', checkMillisFrom(50, 60_000), 1000)
    .option('--then-migrate', 'migrate to --to as advised, and show prediction beside outcome')
    .addOption(
      new Option('--mode <mode>', 'migrate in this way instead').choices(['precopy', 'postcopy']),
    )
    .option('--json', 'for programs')
    .action(plan);
  teach(command, EXAMPLES, AFTER);
}

async function plan(options: PlanOptions): Promise<void> {
  const { to, json = false, thenMigrate = false } = options;
  if (thenMigrate && to === undefined) throw new UsageError('--then-migrate needs --to URI');
  await using client = await connectQmp(options);
  const input = await measure(client, options);
  const made = predict(input);
  const told = { input, plan: made };
  if (!thenMigrate || to === undefined) {
    console.log(json ? JSON.stringify(told) : planLines(input, made).join('\n'));
    return;
  }
  if (!json) console.log(`${planLines(input, made).join('\n')}\n`);
  const mode = options.mode ?? made.use;
  const outcome = await migrate(client, to, mode, options);
  console.log(
    json
      ? JSON.stringify({ ...told, mode, outcome })
      : [`${mode}, completed`, ...outcomeLines(made[mode], outcome)].join('\n'),
  );
}

async function measure(client: QmpClient, options: PlanOptions): Promise<PlanInput> {
  const { to } = options;
  const { status } = await queryStatus(client);
  if (status === 'postmigrate') throw new Error('its guest has left: ask where it runs now');
  const parameters = await client.execute<Record<string, number>>('query-migrate-parameters');
  const { link, placed, roundTripMillis, from } = await measureLink(client, to, options.link);
  const limited = (rate: number | undefined): number =>
    rate === undefined || rate === 0 ? link : Math.min(rate, link);
  const available = parameters['avail-switchover-bandwidth'] ?? 0;
  return {
    ...(await measureGuest(client, options.sample)),
    bandwidth: limited(options.bandwidth ?? parameters['max-bandwidth']),
    switchoverBandwidth: limited(available),
    availBandwidth: available,
    postcopyBandwidth: limited(parameters['max-postcopy-bandwidth']),
    downtimeLimitMillis: options.downtimeLimit ?? parameters['downtime-limit'] ?? 300,
    placedBandwidth: placed,
    roundTripMillis,
    linkFrom: from,
  };
}

/** With what was planned with. @throws {Error} it did not complete: with the reason. */
async function migrate(
  client: QmpClient,
  to: Address,
  mode: Plan['use'],
  { bandwidth, downtimeLimit, qmp }: PlanOptions,
): Promise<Outcome> {
  const given = { 'max-bandwidth': bandwidth, 'downtime-limit': downtimeLimit };
  const parameters = Object.entries(given).filter(([, value]) => value !== undefined);
  const borrowed = await BorrowedSettings.take(
    client,
    Object.fromEntries(parameters) as Record<string, number>, // what is undefined was left out
    { events: true, ...(mode === 'postcopy' ? { 'postcopy-ram': true } : {}) },
  );
  const status = await follow(client, to, mode).catch(async (error: unknown) => {
    await borrowed.giveBack().catch(() => undefined); // what went wrong before is what is told
    throw error;
  });
  const info = await queryMigrate(client);
  if (status !== 'postcopy-paused') await borrowed.giveBack();
  if (status !== 'completed') {
    const reason = info['error-desc'] ?? 'no reason given';
    const left = `; still set for it: ${borrowed.describe()}`;
    const remedy =
      status === 'postcopy-paused' ? `; to go on: godwit recover --qmp ${qmp} URI${left}` : '';
    throw new Error(`the migration is ${status}: ${reason}${remedy}`);
  }
  const { ram } = info;
  return {
    passes: ram?.['dirty-sync-count'] ?? 0,
    bytes: ram?.transferred ?? 0,
    totalMillis: info['total-time'] ?? 0,
    downtimeMillis: (info['x-downtime-us'] ?? 0) / 1000,
  };
}

/** @returns the status in which it rests. */
async function follow(client: QmpClient, to: Address, mode: Plan['use']): Promise<string> {
  const since = client.eventCursor;
  await client.execute('migrate', { uri: formatAddress(to) });
  return await followMigration(client, {
    since,
    until: restingStatuses,
    onStatus(told) {
      if (told !== 'active' || mode !== 'postcopy') return;
      // Refused only when it is over already, which its status tells.
      void client.execute('migrate-start-postcopy').catch(() => undefined);
    },
  });
}

function checkUri(text: string): Address {
  try {
    return parseAddress(text);
  } catch (error) {
    if (error instanceof ChannelError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}
