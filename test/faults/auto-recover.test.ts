import { describe, expect, test } from 'vitest';
import { transports } from '../support/addresses.ts';
import { GodwitCommand } from '../support/godwit-command.ts';
import type { LinkProxy } from '../support/link-proxy.ts';
import { expectOwner, type Pair, withPair } from '../support/pair.ts';
import { CALM_RATE, crawling } from '../support/parameters.ts';

/** Attempts that follow each other closely, and one that nobody will live to see. */
const soon = { 'x-recover-backoff': 50, 'x-recover-backoff-max': 100, 'x-recover-attempts': 1000 };
const never = { 'x-recover-backoff': 600_000, 'x-recover-backoff-max': 600_000 };

const failedAttempt = ['postcopy-recover-setup', 'postcopy-paused'];

function options(parameters: Record<string, number>, transport: 'unix' | 'tcp' = 'unix') {
  return {
    transport,
    postcopy: true,
    rate: CALM_RATE,
    parameters: { ...crawling, ...parameters },
  } as const;
}

/** In postcopy, over a relay that can be closed. */
async function untilUnattended(pair: Pair): Promise<LinkProxy> {
  await pair.source.setCapabilities({ 'x-auto-recover': true });
  const link = await pair.openLink();
  await pair.untilPostcopyActive(link.uri);
  return link;
}

function newsOf(pair: Pair): unknown[] {
  const { entries } = pair.source.events;
  return entries.flatMap(({ name, data }) => (name === 'X_MIGRATION_RECOVERY' ? [data] : []));
}

async function untilNews(pair: Pair, action: string): Promise<void> {
  do await pair.source.waitForEvent('X_MIGRATION_RECOVERY');
  while (!newsOf(pair).some((news) => (news as { action: string }).action === action));
}

describe.each(transports)('over %s', (transport) => {
  test('a link that breaks is replaced without anybody asking, once it can be', async () => {
    await withPair(options(soon, transport), async (pair) => {
      const link = await untilUnattended(pair);
      const told = pair.source.statuses.length;
      link.refuseNew();
      link.cut('rst');
      // The link is lost; then three attempts fail, each told before and after.
      for (let lost = 0; lost < 4; lost += 1) await pair.source.waitForStatus('postcopy-paused');
      await link.listenAgain();
      await pair.waitForBoth('postcopy-active');
      const statuses = pair.source.statuses.slice(told);
      expect(statuses.slice(0, 7)).toEqual([
        'postcopy-paused',
        ...failedAttempt,
        ...failedAttempt,
        ...failedAttempt,
      ]);
      expect(statuses.slice(-3)).toEqual([
        'postcopy-recover-setup',
        'postcopy-recover',
        'postcopy-active',
      ]);
      const attempts = statuses.filter((status) => status === 'postcopy-recover-setup').length;
      expect(newsOf(pair)).toEqual(
        Array.from({ length: attempts }, (_, i) => ({
          action: 'scheduled',
          attempt: i + 1,
          attempts: 1000,
          delay: expect.any(Number),
        })),
      );
      expect(await pair.source.errorDescription()).toBeUndefined();
      await pair.untilCompleted();
      await expectOwner(pair, pair.destination);
    });
  });

  test('as often as the link breaks, and each time from the first attempt on', async () => {
    await withPair(options(soon, transport), async (pair) => {
      const link = await untilUnattended(pair);
      for (let cut = 0; cut < 3; cut += 1) {
        link.cut('rst');
        await pair.source.waitForStatus('postcopy-paused');
        await pair.waitForBoth('postcopy-active');
      }
      expect(newsOf(pair)).toMatchObject([{ attempt: 1 }, { attempt: 1 }, { attempt: 1 }]);
      await pair.untilCompleted();
      await expectOwner(pair, pair.destination);
    });
  });
});

test('an order to run that was not answered is asked after without anybody asking', async () => {
  await withPair(options(soon), async (pair) => {
    await pair.source.setCapabilities({ 'x-auto-recover': true });
    const link = await pair.openLink();
    const cut = link.cutWhen({ frame: 'running', at: 'before' });
    await pair.migrateByPostcopy(link.uri);
    await cut;
    await pair.source.waitForStatus('postcopy-paused');
    await pair.source.waitForStatus('postcopy-active');
    await pair.source.setParameters({ 'max-postcopy-bandwidth': 0 });
    await pair.source.waitForStatus('completed');
    await pair.destination.waitForStatus('completed');
    await expectOwner(pair, pair.destination);
  });
});

test('it gives up after so many attempts, and whoever asks then is obeyed', async () => {
  await withPair(options({ ...soon, 'x-recover-attempts': 2 }), async (pair) => {
    const link = await untilUnattended(pair);
    const told = pair.source.statuses.length;
    link.refuseNew();
    link.cut('rst');
    await untilNews(pair, 'given-up');
    expect(pair.source.statuses.slice(told)).toEqual([
      'postcopy-paused',
      ...failedAttempt,
      ...failedAttempt,
    ]);
    expect(newsOf(pair).at(-1)).toEqual({ action: 'given-up', attempts: 2 });
    expect(await pair.source.errorDescription()).toMatch(/cannot connect/);
    await expect(pair.source.executeOob('migrate-pause')).rejects.toThrow(/migrate-pause is/);
    await pair.resume(); // past the relay
    await pair.waitForBoth('postcopy-active');
    await pair.untilCompleted();
    await expectOwner(pair, pair.destination);
  });
});

test('whoever asks during a back-off does not wait for its end', async () => {
  await withPair(options(never), async (pair) => {
    const link = await untilUnattended(pair);
    link.cut('rst');
    await pair.waitForBoth('postcopy-paused');
    await untilNews(pair, 'scheduled');
    await pair.resume();
    await pair.waitForBoth('postcopy-active');
    await pair.untilCompleted();
    await expectOwner(pair, pair.destination);
  });
});

test('an attempt by hand that fails is followed by others, to where it went', async () => {
  await withPair(options(never), async (pair) => {
    const link = await untilUnattended(pair);
    link.refuseNew();
    link.cut('rst');
    await untilNews(pair, 'scheduled');
    await pair.source.setParameters(soon);
    await pair.resume(link.uri);
    for (let lost = 0; lost < 3; lost += 1) await pair.source.waitForStatus('postcopy-paused');
    await link.listenAgain();
    await pair.waitForBoth('postcopy-active');
    await pair.untilCompleted();
    await expectOwner(pair, pair.destination);
  });
});

test('migrate-pause during a back-off ends it: the next attempt is asked for', async () => {
  await withPair(options(never), async (pair) => {
    const link = await untilUnattended(pair);
    link.cut('rst');
    await pair.waitForBoth('postcopy-paused');
    await untilNews(pair, 'scheduled');
    await pair.source.executeOob('migrate-pause');
    await untilNews(pair, 'suspended');
    await expect(pair.source.executeOob('migrate-pause')).rejects.toThrow(/migrate-pause is/);
    await pair.resume();
    await pair.waitForBoth('postcopy-active');
    await pair.untilCompleted();
    await expectOwner(pair, pair.destination);
  });
});

test('what the user has paused stays paused until the user resumes it', async () => {
  await withPair(options(soon), async (pair) => {
    await untilUnattended(pair);
    await pair.source.executeOob('migrate-pause');
    await pair.waitForBoth('postcopy-paused');
    // Commands are answered in turn: an attempt would have been told before.
    expect(await pair.source.errorDescription()).toMatch(/paused by the user/);
    expect(newsOf(pair)).toEqual([]);
    await pair.resume();
    await pair.waitForBoth('postcopy-active');
    await pair.untilCompleted();
    await expectOwner(pair, pair.destination);
  });
});

test('without the capability a broken link waits for somebody who asks', async () => {
  await withPair(options(soon), async (pair) => {
    const link = await pair.openLink();
    await pair.untilPostcopyActive(link.uri);
    link.cut('rst');
    await pair.waitForBoth('postcopy-paused');
    expect(await pair.source.errorDescription()).toBeDefined();
    expect(newsOf(pair)).toEqual([]);
    await pair.resume();
    await pair.waitForBoth('postcopy-active');
    await pair.untilCompleted();
    await expectOwner(pair, pair.destination);
  });
});

/** The command migrates by postcopy, over a link that breaks as soon as the guest runs there. */
async function waitsThroughLoss(pair: Pair): Promise<{ command: GodwitCommand; link: LinkProxy }> {
  await pair.source.setCapabilities({ 'x-auto-recover': true });
  const link = await pair.openLink();
  const qmp = `unix:${pair.directory.file('source.qmp')}`;
  const command = new GodwitCommand('migrate', '--qmp', qmp, link.uri, '--postcopy', '--wait');
  await pair.waitForBoth('postcopy-active');
  link.refuseNew();
  link.cut('rst');
  return { command, link };
}

test('whoever waits for the end of a migration waits through links that are replaced', async () => {
  await withPair(options(soon), async (pair) => {
    const { command, link } = await waitsThroughLoss(pair);
    await using waiting = command;
    for (let lost = 0; lost < 3; lost += 1) await pair.source.waitForStatus('postcopy-paused');
    await link.listenAgain();
    await pair.waitForBoth('postcopy-active');
    await pair.source.setParameters({ 'max-postcopy-bandwidth': 0 });
    const { code, stdout } = await waiting.ended();
    expect({ code, stdout }).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('completed:'),
    });
    await pair.waitForBoth('completed');
    await expectOwner(pair, pair.destination);
  });
});

test('whoever waits is told as soon as no attempt follows by itself', async () => {
  await withPair(options({ ...soon, 'x-recover-attempts': 2 }), async (pair) => {
    const { command } = await waitsThroughLoss(pair);
    await using waiting = command;
    await untilNews(pair, 'given-up');
    const { code, stderr } = await waiting.ended();
    expect(code).toBe(1);
    expect(stderr).toMatch(/the migration is postcopy-paused: .*cannot connect.*godwit recover/s);
    await pair.resume();
    await pair.waitForBoth('postcopy-active');
    await pair.untilCompleted();
    await expectOwner(pair, pair.destination);
  });
});
