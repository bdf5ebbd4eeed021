import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type CommandTable, QmpClient, QmpServer } from '@godwit/qmp';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { BandwidthBudget } from '../../src/evacuate/bandwidth-budget.ts';

const PROCESSES = 5;
const OWN = { 'max-bandwidth': 134_217_728, 'max-postcopy-bandwidth': 0 };

let directory: string;
let servers: QmpServer[];
let clients: QmpClient[];
/** What each process is limited to. */
let limits: { 'max-bandwidth': number; 'max-postcopy-bandwidth': number }[];
/** Called after each change. */
let look: () => void;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'budget-'));
  limits = Array.from({ length: PROCESSES }, () => ({ ...OWN }));
  look = () => undefined;
  [servers, clients] = [[], []];
  for (const index of limits.keys()) {
    const server = new QmpServer({ commands: commandsOf(index) });
    clients.push(
      await QmpClient.connect(await server.listen(`unix:${join(directory, `${index}`)}`)),
    );
    servers.push(server);
  }
});

afterEach(async () => {
  for (const client of clients) await client.close();
  for (const server of servers) await server.close();
  await rm(directory, { recursive: true });
});

function commandsOf(index: number): CommandTable {
  return {
    'query-migrate-parameters': { run: () => limits[index] },
    'migrate-set-parameters': {
      arguments: { 'max-bandwidth': { type: 'int' }, 'max-postcopy-bandwidth': { type: 'int' } },
      run(args) {
        Object.assign(limits[index] as object, args);
        look();
      },
    },
  };
}

test('whoever begins and ends, and when: the sum keeps to the budget, and limits come back', async () => {
  const steps = fc.array(fc.nat(PROCESSES - 1), { minLength: 1, maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(steps, fc.integer({ min: PROCESSES, max: 10 ** 10 }), async (order, total) => {
      const budget = new BandwidthBudget(total);
      const shares = new Map<number, AsyncDisposable>();
      look = () => {
        const running = [...shares.keys()].map((index) => limits[index]?.['max-bandwidth'] ?? 0);
        expect(running.reduce((sum, limit) => sum + limit, 0)).toBeLessThanOrEqual(total);
      };
      for (const index of order) {
        const share = shares.get(index);
        shares.delete(index);
        if (share === undefined) shares.set(index, await budget.join(clients[index] as QmpClient));
        else await share[Symbol.asyncDispose]();
        const each = Math.floor(total / Math.max(1, shares.size));
        for (const [at, limit] of limits.entries()) {
          const expected = { 'max-bandwidth': each, 'max-postcopy-bandwidth': each };
          expect(limit).toEqual(shares.has(at) ? expected : OWN);
        }
      }
      look = () => undefined;
      for (const share of shares.values()) await share[Symbol.asyncDispose]();
      expect(limits).toEqual(limits.map(() => OWN));
    }),
    { numRuns: 20 },
  );
});

test('without a budget nobody is limited', async () => {
  const share = await new BandwidthBudget(undefined).join(clients[0] as QmpClient);
  expect(limits[0]).toEqual(OWN);
  await share[Symbol.asyncDispose]();
});

test('a budget of 0 is no limit, as everywhere', async () => {
  const share = await new BandwidthBudget(0).join(clients[0] as QmpClient);
  expect(limits[0]).toEqual({ 'max-bandwidth': 0, 'max-postcopy-bandwidth': 0 });
  await share[Symbol.asyncDispose]();
  expect(limits[0]).toEqual(OWN);
});

test('a process that has gone takes nothing from the others', async () => {
  const budget = new BandwidthBudget(1000);
  const [first, second] = clients as [QmpClient, QmpClient];
  const share = await budget.join(first);
  await budget.join(second);
  await servers[0]?.close();
  await share[Symbol.asyncDispose]();
  expect(limits[1]?.['max-bandwidth']).toBe(1000);
});
