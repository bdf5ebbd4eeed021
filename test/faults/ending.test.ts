import { setTimeout as after } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { silentListener } from '../support/bad-listeners.ts';
import { expectEnd } from '../support/ending.ts';
import type { LinkProxy } from '../support/link-proxy.ts';
import { type Pair, withPair } from '../support/pair.ts';
import { CALM_RATE, crawling, fast } from '../support/parameters.ts';
import { processResources } from '../support/process-resources.ts';

/** Each leaves a migration standing where the name says, until somebody ends a process. */
const states: Readonly<Record<string, (pair: Pair, link: LinkProxy) => Promise<void>>> = {
  async setup(pair, link) {
    const held = link.hold({ frame: 'started' });
    await pair.migrate(link.uri);
    await held.reached;
  },
  async active(pair, link) {
    await pair.migrate(link.uri);
    await pair.waitForBoth('active');
  },
  async 'postcopy-device'(pair, link) {
    const held = link.hold({ frame: 'loaded' });
    await pair.migrateByPostcopy(link.uri);
    await held.reached;
  },
  async 'the order to run'(pair, link) {
    const held = link.hold({ frame: 'run' });
    await pair.migrateByPostcopy(link.uri);
    await held.reached;
  },
  async 'postcopy-active'(pair, link) {
    await pair.untilPostcopyActive(link.uri);
  },
  async 'postcopy-paused'(pair, link) {
    await pair.untilPostcopyActive(link.uri);
    link.cut();
    await pair.waitForBoth('postcopy-paused');
  },
  async 'postcopy-recover'(pair, link) {
    await pair.untilPostcopyActive(link.uri);
    link.cut();
    await pair.waitForBoth('postcopy-paused');
    const held = link.hold({ frame: 'recovering' });
    await pair.resume(link.uri);
    await held.reached;
  },
};

const options = { postcopy: true, vcpus: 2, parameters: crawling } as const;

describe.each(Object.keys(states))('in %s', (state) => {
  test('the source ends when it is told to', async () => {
    await withPair({ ...options, rate: CALM_RATE }, async (pair) => {
      const link = await pair.openLink();
      await states[state]?.(pair, link);
      await expectEnd(pair.source);
    });
  });

  // Busy vCPUs hang in faults for pages that come no more: they must not keep the process.
  test.each([CALM_RATE, 0])('the destination ends when it is told to (rate %i)', async (rate) => {
    await withPair({ ...options, rate }, async (pair) => {
      const link = await pair.openLink();
      await states[state]?.(pair, link);
      await expectEnd(pair.destination);
      link.cut(); // what is held back dies with it
      const { source } = pair;
      if (state !== 'postcopy-paused') await source.waitForOneOf(['failed', 'postcopy-paused']);
      expect((await source.runStatus()).running).toBe(source.statuses.at(-1) === 'failed');
    });
  });
});

test('in postcopy-recover-setup the source ends when it is told to', async () => {
  await withPair(options, async (pair) => {
    await using silent = await silentListener('unix', pair.directory.path);
    await pair.untilPostcopyActive();
    await pair.source.executeOob('migrate-pause');
    await pair.waitForBoth('postcopy-paused');
    await pair.resume(silent.uri);
    await pair.source.waitForStatus('postcopy-recover-setup');
    await expectEnd(pair.source);
  });
});

test.each([
  ['urgent', 'fin'],
  ['page', 'fin'],
  ['urgent', 'rst'],
  ['page', 'rst'],
] as const)(
  'a destination whose %s channel ends by %s before the last word on main keeps no threads',
  async (role, kind) => {
    const channels = { postcopy: true, channels: 1, transport: 'tcp' } as const;
    await withPair({ ...channels, parameters: fast }, async (pair) => {
      const { destination } = pair;
      const { threads } = await processResources(destination.pid); // it waits with those that it needs
      const link = await pair.openLink();
      const lastWord = link.hold({ direction: 'to-destination', frame: 'finished' });
      await pair.migrateByPostcopy(link.uri);
      await lastWord.reached;
      link.cut(kind, { role });
      await after(200); // in which a destination that takes this for the end of the link shuts main down
      lastWord.release();
      const threadsNow = async (): Promise<number> =>
        (await processResources(destination.pid)).threads;
      await expect.poll(threadsNow, { timeout: 10_000 }).toBeLessThan(threads);
    });
  },
);
