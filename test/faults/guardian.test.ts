import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { childrenOf, untilChildren, untilGone } from '../support/children.ts';
import { expectOwner, type PairOptions, withPair } from '../support/pair.ts';
import { CALM_RATE, crawling, fast } from '../support/parameters.ts';
import { within } from '../support/wait.ts';

const script = fileURLToPath(
  new URL('../../packages/core/dist/testing/forgetful-destination.js', import.meta.url),
);

/** @returns how it ended, and what it said. */
async function forget(mode: 'guarded' | 'alone' | 'exit') {
  const child = spawn(process.execPath, [script, mode], { stdio: ['ignore', 'pipe', 'inherit'] });
  const end = Promise.all([text(child.stdout), once(child, 'exit')]);
  try {
    const [said, [code, signal]] = await within(end, 'the end of the process', 30_000);
    return { said: said.trimEnd().split('\n'), code, signal };
  } finally {
    child.kill('SIGKILL');
  }
}

describe('an engine that closes its userfaultfd under a guest that lacks pages', () => {
  test('is killed before the guest can read anything', async () => {
    expect(await forget('guarded')).toEqual({ said: ['watching'], code: null, signal: 'SIGKILL' });
  });

  test('shows it zeros where no guardian can be had', async () => {
    const said = ['absent', 'the guest has read 0'];
    expect(await forget('alone')).toEqual({ said, code: 0, signal: null });
  });
});

test('a process that ends by its own will ends with its own code', async () => {
  expect(await forget('exit')).toEqual({ said: ['watching'], code: 3, signal: null });
});

const postcopy = { postcopy: true, memoryMode: 'userfault' } as const;
const crawls: PairOptions = { ...postcopy, rate: CALM_RATE, parameters: crawling };

test('a guardian that dies has a successor, and the guest runs on', async () => {
  await withPair(crawls, async (pair) => {
    await pair.untilPostcopyActive();
    const { destination } = pair;
    const [first = 0, ...others] = childrenOf(destination.pid);
    expect(others).toEqual([]);
    process.kill(first, 'SIGKILL');
    await untilGone(first);
    const [second] = await untilChildren(destination.pid, 1);
    expect(second).not.toBe(first);
    const info = await destination.execute('query-migrate');
    expect(info).toMatchObject({ status: 'postcopy-active', 'x-guardian': 'watching' });
    await pair.untilCompleted();
    await untilGone(second ?? 0);
    await expectOwner(pair, destination);
  });
});

test('no guardian outlives a migration that has completed, and the guest runs on', async () => {
  await withPair({ ...postcopy, parameters: fast }, async (pair) => {
    const { destination, source } = pair;
    await pair.migrateByPostcopy();
    await pair.waitForBoth('completed');
    await untilChildren(destination.pid, 0);
    expect(childrenOf(source.pid)).toEqual([]);
    expect(await destination.execute('query-migrate')).toMatchObject({ 'x-guardian': 'released' });
    await expectOwner(pair, destination);
  });
});

test('no guardian outlives a destination that discards or is killed', async () => {
  await withPair(crawls, async (pair) => {
    await pair.migrate();
    await pair.destination.waitForStatus('active');
    const [first = 0] = await untilChildren(pair.destination.pid, 1);
    await pair.source.execute('migrate_cancel');
    await pair.expectFailed(pair.destination);
    await untilGone(first);

    await pair.source.waitForStatus('cancelled');
    const next = await pair.startDestination('next');
    await pair.untilPostcopyActive();
    const [second = 0] = childrenOf(next.pid);
    expect(second).toBeGreaterThan(0);
    await pair.kill(next);
    await untilGone(second);
  });
});

test('portable memory has none: there the guest itself is refused a page that is missing', async () => {
  await withPair({ ...crawls, memoryMode: 'portable' }, async (pair) => {
    await pair.untilPostcopyActive();
    expect(childrenOf(pair.destination.pid)).toEqual([]);
    expect(await pair.destination.execute('query-migrate')).not.toHaveProperty('x-guardian');
    await pair.untilCompleted();
    await expectOwner(pair, pair.destination);
  });
});
