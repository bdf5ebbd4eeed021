import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { QmpClient, QmpServer } from '@godwit/qmp';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { describeCompleted, followMigration, restingStatuses } from '../src/follow-migration.ts';

let directory: string;
let server: QmpServer;
let client: QmpClient;
let events: boolean;
let status: string | undefined;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'follow-'));
  server = new QmpServer({
    commands: {
      'query-migrate-capabilities': { run: () => [{ capability: 'events', state: events }] },
      'query-migrate': { run: () => (status === undefined ? {} : { status }) },
    },
  });
  client = await QmpClient.connect(await server.listen(`unix:${join(directory, 'qmp')}`));
});

afterEach(async () => {
  await client.close();
  await server.close();
  await rm(directory, { recursive: true });
});

test('every status is told once, those included that came before anybody listened', async () => {
  events = true;
  const since = client.eventCursor;
  const cameBefore = client.waitForEvent(({ event }) => event === 'MIGRATION', { since });
  server.emit('MIGRATION', { status: 'setup' });
  await cameBefore;
  const told: string[] = [];
  const end = followMigration(client, {
    since,
    until: restingStatuses,
    onStatus: (next) => told.push(next),
  });
  for (const next of ['active', 'device']) server.emit('MIGRATION', { status: next });
  server.emit('MIGRATION_PASS', { pass: 2 });
  for (const next of ['completed', 'none']) server.emit('MIGRATION', { status: next });
  expect(await end).toBe('completed');
  expect(told).toEqual(['setup', 'active', 'device', 'completed']);
});

test('without events the process is asked instead', async () => {
  events = false;
  status = undefined;
  const told: string[] = [];
  const end = await followMigration(client, {
    since: client.eventCursor,
    until: restingStatuses,
    onStatus: (next) => {
      told.push(next);
      status = next === 'none' ? 'active' : 'postcopy-paused';
    },
  });
  expect(end).toBe('postcopy-paused');
  expect(told).toEqual(['none', 'active', 'postcopy-paused']);
});

test('a process that goes away ends the wait with an error', async () => {
  events = true;
  const end = followMigration(client, { since: client.eventCursor, until: restingStatuses });
  await client.execute('query-migrate');
  await Promise.all([server.close(), expect(end).rejects.toMatchObject({ code: 'ERR_LOST' })]);
});

test('the end of a migration is told in one line, whichever figures there are', () => {
  expect(describeCompleted({ 'total-time': 1234, downtime: 3, 'x-downtime-us': 2345 })).toBe(
    'completed: in 1.23 s, downtime 2.35 ms',
  );
  expect(describeCompleted({ downtime: 3 })).toBe('completed: downtime 3.00 ms');
  expect(describeCompleted({})).toBe('completed');
});
