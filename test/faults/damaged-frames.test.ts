import { describe, expect, test } from 'vitest';
import { transports } from '../support/addresses.ts';
import type { FlipOptions } from '@godwit/chaos';
import type { GuestProcess } from '../support/guest-process.ts';
import type { LinkProxy } from '../support/link-proxy.ts';
import { expectOwner, type Pair, type PairOptions, withPair } from '../support/pair.ts';
import { CALM_RATE, converging, crawling, endless, fast } from '../support/parameters.ts';
import { precopyOfDestination, precopyOfSource } from '../support/sequences.ts';
import type { SeenFrame } from '../support/wire-reader.ts';

interface Damage {
  readonly 'damaged-frames': number;
  readonly 'damaged-pages': number;
  readonly 'last-damaged'?: { readonly page: number; readonly pages: number };
}

interface Info {
  readonly 'error-desc'?: string;
  readonly 'x-checksum'?: Damage;
}

/** Somewhere in the first page of the body. */
const IN_BODY = 24 + 100;
const PAGE_COUNT = 16;
const CHECKSUM = 20;

/** A pair that has agreed on checksums, behind a link that damages what it is told to. */
async function withChecks(
  options: PairOptions,
  body: (pair: Pair, link: LinkProxy) => Promise<void>,
): Promise<void> {
  await withPair(options, async (pair) => {
    await pair.source.setCapabilities({ 'x-checksum': true });
    await body(pair, await pair.openLink());
  });
}

async function damageOf(guest: GuestProcess): Promise<Damage | undefined> {
  return (await guest.execute<Info>('query-migrate'))['x-checksum'];
}

async function errorOf(guest: GuestProcess): Promise<string> {
  return (await guest.execute<Info>('query-migrate'))['error-desc'] ?? '';
}

function resends(link: LinkProxy): number {
  return link.frames.entries.filter(({ name }) => name === 'RESEND').length;
}

test('without checksums a damaged page reaches the guest', async () => {
  await withPair({ workload: 'idle', fill: 1, parameters: fast }, async (pair) => {
    const link = await pair.openLink();
    const flipped = link.flips.flip({ frame: 'PAGES', offset: IN_BODY });
    await pair.migrate(link.uri);
    await pair.waitForBoth('completed');
    const { firstPage } = await flipped;
    await pair.destination.execute('stop');
    expect(await pair.destination.execute('x-guest-verify')).toMatchObject({
      ok: false,
      'pages-bad': 1,
      'bad-pages': [{ page: firstPage, offset: 100 }],
    });
    expect(await damageOf(pair.destination)).toBeUndefined();
  });
});

describe.each(transports)('with x-checksum over %s', (transport) => {
  test.each([undefined, 3])(
    'damaged pages of a precopy are sent again, page channels: %s',
    async (channels) => {
      const pages = channels === undefined ? {} : { channels };
      const options = { transport, ...pages, workload: 'zipf', parameters: endless } as const;
      await withChecks(options, async (pair, link) => {
        const flipped = link.flips.flip({ frame: 'PAGES', offset: IN_BODY, times: 5 });
        await pair.migrate(link.uri);
        await pair.source.waitForPass(3);
        await flipped;
        await pair.source.setParameters(converging);
        await pair.waitForBoth('completed');
        expect(pair.source.statuses).toEqual(precopyOfSource);
        expect(pair.destination.statuses).toEqual(precopyOfDestination);
        const damage = await damageOf(pair.destination);
        expect(damage).toMatchObject({ 'damaged-frames': 5 });
        const runs = link.flips.flipped.map((frame) => ({
          page: frame.firstPage,
          pages: frame.pageCount,
        }));
        const { page, pages: count } = damage?.['last-damaged'] ?? {};
        expect(runs).toContainEqual({ page, pages: count });
        const damagedPages = runs.reduce((sum, run) => sum + run.pages, 0);
        expect(damage?.['damaged-pages']).toBe(damagedPages);
        await expectOwner(pair, pair.destination);
      });
    },
  );

  test('what the stopped guest sends last is sent again before its device state', async () => {
    const options = { transport, workload: 'idle', fill: 1, parameters: fast } as const;
    await withChecks(options, async (pair, link) => {
      await pair.source.setCapabilities({ 'pause-before-switchover': true });
      let isStopped = false;
      const flipped = link.flips.flip({
        frame: ({ name }) => isStopped && name === 'PAGES',
        offset: IN_BODY,
      });
      // What is damaged in the only pass comes with the last pages, and is damaged there once more.
      const first = link.flips.flip({ frame: 'PAGES', offset: -1 });
      await pair.migrate(link.uri);
      await first;
      await pair.source.waitForStatus('pre-switchover');
      isStopped = true;
      await pair.source.execute('migrate-continue', { state: 'pre-switchover' });
      await flipped;
      await pair.waitForBoth('completed');
      const names = link.frames.entries.map(({ name }) => name);
      expect(names.lastIndexOf('PAGES')).toBeLessThan(names.indexOf('DEVICE'));
      expect(await damageOf(pair.destination)).toMatchObject({ 'damaged-frames': 2 });
      expect((await damageOf(pair.source))?.['damaged-pages']).toBeGreaterThan(0);
      await expectOwner(pair, pair.destination);
    });
  });

  test('a link that damages the last pages each time is given up, and the guest stays', async () => {
    const options = { transport, workload: 'idle', fill: 1, parameters: fast } as const;
    await withChecks(options, async (pair, link) => {
      void link.flips.flip({ frame: 'PAGES', offset: IN_BODY, times: 1000 });
      await pair.migrate(link.uri);
      await pair.source.waitForStatus('failed');
      await pair.expectFailed(pair.destination);
      expect(await errorOf(pair.source)).toMatch(
        /arrive damaged.* of block '(pc\.ram|vga\.vram)' from page \d+/,
      );
      await expectOwner(pair, pair.source);
    });
  });

  describe.each([true, false])('in postcopy, urgent channel: %s', (preempt) => {
    const options = { transport, preempt, postcopy: true, workload: 'random' } as const;

    test('damaged pages of the bulk are sent again', async () => {
      const parameters = { ...endless, 'max-postcopy-bandwidth': 0 };
      await withChecks({ ...options, parameters }, async (pair, link) => {
        const flipped = link.flips.flip({
          frame: afterRun(link),
          role: 'main',
          offset: IN_BODY,
          times: 3,
        });
        await pair.migrateByPostcopy(link.uri);
        await flipped;
        await pair.waitForBoth('completed');
        expect(await damageOf(pair.destination)).toMatchObject({ 'damaged-frames': 3 });
        expect(resends(link)).toBeGreaterThan(0);
        await expectOwner(pair, pair.destination);
      });
    });

    test('a damaged page that a vCPU waits for is asked for again at once', async () => {
      const calm = { rate: CALM_RATE, parameters: crawling };
      await withChecks({ ...options, ...calm }, async (pair, link) => {
        const flipped = link.flips.flip({
          frame: afterRun(link),
          ...(preempt ? { role: 'urgent' } : {}),
          offset: IN_BODY,
          times: 3,
        });
        await pair.untilPostcopyActive(link.uri);
        await flipped;
        await pair.untilCompleted();
        expect(await damageOf(pair.destination)).toMatchObject({ 'damaged-frames': 3 });
        await expectOwner(pair, pair.destination);
      });
    });
  });

  const fatal: Readonly<Record<string, FlipOptions>> = {
    'the header of a frame of pages': { frame: 'PAGES', offset: PAGE_COUNT },
    'a control message': { frame: 'pass', offset: -1 },
    'an answer': { frame: 'flushed', offset: -2 },
    'the header of a request for resending': { frame: 'RESEND', offset: 8 },
    'the device state': { frame: 'DEVICE', offset: -3 },
    'the checksum of a control message': { frame: 'pass', offset: CHECKSUM },
  };

  test.each(Object.entries(fatal))('%s that is damaged ends a precopy', async (_what, flip) => {
    const options = { transport, workload: 'zipf', parameters: fast } as const;
    await withChecks(options, async (pair, link) => {
      if (flip.frame === 'RESEND') void link.flips.flip({ frame: 'PAGES', offset: IN_BODY });
      const flipped = link.flips.flip(flip);
      await pair.migrate(link.uri);
      await flipped;
      await pair.source.waitForStatus('failed');
      await pair.expectFailed(pair.destination);
      await expectOwner(pair, pair.source);
    });
  });

  test('a damaged header in postcopy ends the link, and recovery mends it', async () => {
    const calm = { postcopy: true, rate: CALM_RATE, parameters: crawling } as const;
    await withChecks({ transport, workload: 'random', ...calm }, async (pair, link) => {
      await pair.untilPostcopyActive(link.uri);
      const flipped = link.flips.flip({ frame: 'PAGES', offset: 8 });
      await flipped;
      await pair.waitForBoth('postcopy-paused');
      expect(await errorOf(pair.destination)).toMatch(/header of a frame was damaged/);
      const second = await pair.openLink();
      void second.flips.flip({ frame: 'PAGES', offset: IN_BODY });
      await pair.resume(second.uri);
      await pair.untilCompleted();
      expect(await damageOf(pair.destination)).toMatchObject({ 'damaged-frames': 1 });
      await expectOwner(pair, pair.destination);
    });
  });
});

/** Pages from the destination's `running` on. */
function afterRun(link: LinkProxy): (frame: SeenFrame) => boolean {
  let isRunningThere = false;
  return ({ name }) => {
    isRunningThere ||= link.count({ frame: 'running' }) > 0;
    return isRunningThere && name === 'PAGES';
  };
}
