import { setTimeout as sleep } from 'node:timers/promises';

import type { QmpClient } from '@godwit/qmp';

import { formatBytes, formatClock, formatMillis } from './figures.ts';
import { type MigrateInfo, queryMigrate } from './migrate-info.ts';

/** How often to ask where there are no events. */
export const POLL_MILLIS = 50;

/** Nothing more happens by itself after these. */
export const restingStatuses: ReadonlySet<string> = new Set([
  'completed',
  'failed',
  'cancelled',
  'postcopy-paused',
]);

export interface FollowOptions {
  /** The client's `eventCursor` before the command that starts it. */
  readonly since: number;
  /** Where following ends. */
  readonly until: ReadonlySet<string>;
  readonly onStatus?: (status: string) => void;
  /** Whether it ends there all the same; left out, it does. */
  readonly rests?: (status: string) => Promise<boolean>;
}

/**
 * Follows the migration to one of the statuses asked for, however long it takes; told by events where
 * capability `events` is on (it cannot be changed under a migration), by asking otherwise.
 *
 * @returns that status.
 * @throws {QmpSocketError} the process has gone.
 */
export async function followMigration(client: QmpClient, options: FollowOptions): Promise<string> {
  const statuses = (await hasEvents(client))
    ? statusEvents(client, options.since)
    : polledStatuses(client);
  for await (const status of statuses) {
    options.onStatus?.(status);
    if (!options.until.has(status)) continue;
    if ((await options.rests?.(status)) !== false) return status;
  }
  throw new Error('the connection was closed before the migration ended'); // by ourselves
}

/**
 * A lost link is no end while the source tries others by itself (`x-auto-recover`): for `rests`.
 *
 * @returns whether somebody has to ask for the next link, or nothing is to follow.
 */
export async function restsFor(client: QmpClient, status: string): Promise<boolean> {
  if (status !== 'postcopy-paused') return true;
  const info = await queryMigrate(client);
  // It has gone on already: what became of it is told by what comes next.
  return info.status === status && info['x-recover-attempt'] === undefined;
}

/** Prints each status with the time since the printer was made. @param json as a JSON line. */
export function statusPrinter(json = false): (status: string) => void {
  const started = performance.now();
  return (status) => {
    const millis = performance.now() - started;
    if (json) console.log(JSON.stringify({ status, millis: Math.round(millis) }));
    else console.log(`${formatClock(millis).padStart(8)}  ${status}`);
  };
}

/** What a completed migration cost, in one line. */
export function describeCompleted(info: MigrateInfo): string {
  const parts = [
    info.ram === undefined ? [] : [`${formatBytes(info.ram.transferred)} sent`],
    info['total-time'] === undefined ? [] : [`in ${formatMillis(info['total-time'])}`],
  ].flat();
  const downtime = info['x-downtime-us'] ?? (info.downtime ?? Number.NaN) * 1000;
  const told = Number.isNaN(downtime) ? [] : [`downtime ${formatMillis(downtime / 1000)}`];
  return ['completed', [parts.join(' '), ...told].filter((part) => part !== '').join(', ')]
    .filter((part) => part !== '')
    .join(': ');
}

async function hasEvents(client: QmpClient): Promise<boolean> {
  const capabilities = await client.execute<readonly { capability: string; state: boolean }[]>(
    'query-migrate-capabilities',
  );
  return capabilities.some(({ capability, state }) => capability === 'events' && state);
}

async function* statusEvents(client: QmpClient, since: number): AsyncGenerator<string> {
  for await (const { event, data } of client.eventsFrom(since)) {
    if (event === 'MIGRATION') yield String(data?.['status']);
  }
}

async function* polledStatuses(client: QmpClient): AsyncGenerator<string> {
  for (let last = ''; ; await sleep(POLL_MILLIS)) {
    const { status = 'none' } = await queryMigrate(client);
    if (status !== last) yield status;
    last = status;
  }
}
