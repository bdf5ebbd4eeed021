import { describe, expect, test } from 'vitest';
import { expectOwner, type Pair, withPair } from '../support/pair.ts';
import { CALM_RATE, converging, crawling, endless, fast } from '../support/parameters.ts';

interface Info {
  readonly 'error-desc'?: string;
}

interface Signed {
  readonly receipt: {
    readonly outcome: string;
    readonly owner: string;
    readonly error?: { readonly code: string };
    readonly 'ram-digests'?: readonly { readonly block: string; readonly digest: string }[];
  };
}

const ASK = 'x-query-migration-receipt';

async function expectSameDigests(pair: Pair): Promise<void> {
  const { receipt: ours } = await pair.source.execute<Signed>(ASK);
  const { receipt: theirs } = await pair.destination.execute<Signed>(ASK);
  expect(ours['ram-digests']).toMatchObject([{ block: 'pc.ram' }, { block: 'vga.vram' }]);
  expect(theirs['ram-digests']).toEqual(ours['ram-digests']);
  expect([ours.error, theirs.error]).toEqual([undefined, undefined]);
}

test.each([undefined, 2])(
  'both sides have the same digest of a guest that wrote to the end, page channels: %s',
  async (channels) => {
    const pages = channels === undefined ? {} : { channels };
    const options = { workload: 'zipf', parameters: endless, ...pages } as const;
    await withPair(options, async (pair) => {
      await pair.source.setCapabilities({ 'x-ram-digest': true });
      await pair.migrate();
      await pair.source.waitForPass(2);
      await pair.source.setParameters(converging);
      await pair.waitForBoth('completed');
      await expectSameDigests(pair);
      await expectOwner(pair, pair.destination);
    });
  },
);

test('RAM that differs by one bit does not run: the guest stays, and the block is named', async () => {
  await withPair({ workload: 'idle', fill: 1, parameters: fast }, async (pair) => {
    await pair.source.setCapabilities({ 'x-ram-digest': true });
    const link = await pair.openLink();
    const flipped = link.flips.flip({ frame: 'PAGES', offset: -5 });
    await pair.migrate(link.uri);
    await flipped;
    await pair.source.waitForStatus('failed');
    await pair.expectFailed(pair.destination);
    const { 'error-desc': why } = await pair.source.execute<Info>('query-migrate');
    expect(why).toMatch(/RAM is not the same on both sides: block '(pc\.ram|vga\.vram)'/);
    const { receipt } = await pair.source.execute<Signed>(ASK);
    expect(receipt).toMatchObject({
      outcome: 'failed',
      owner: 'source',
      error: { code: 'ERR_DAMAGED' },
    });
    await expectOwner(pair, pair.source);
  });
});

describe.each([true, false])('in postcopy, urgent channel: %s', (preempt) => {
  const options = { postcopy: true, preempt } as const;

  test.each([undefined, 2])(
    'what was put in place is what was sent, over lost links, page channels: %s',
    async (channels) => {
      const pages = channels === undefined ? {} : { channels };
      const guest = { workload: 'zipf', rate: CALM_RATE, parameters: crawling, ...pages } as const;
      await withPair({ ...options, ...guest }, async (pair) => {
        await pair.source.setCapabilities({ 'x-ram-digest': true, 'x-checksum': true });
        await pair.source.setParameters({ 'multifd-compression': 'zlib' });
        await pair.migrate();
        await pair.source.waitForPass(2);
        await pair.startPostcopy();
        await pair.waitForBoth('postcopy-active');
        await pair.source.executeOob('migrate-pause');
        await pair.waitForBoth('postcopy-paused');
        await pair.resume();
        await pair.untilCompleted();
        await expectSameDigests(pair);
        await expectOwner(pair, pair.destination);
      });
    },
  );

  test('a damaged page is told: completed, and not well', async () => {
    const guest = { workload: 'idle', fill: 1, parameters: fast } as const;
    await withPair({ ...options, ...guest }, async (pair) => {
      await pair.source.setCapabilities({ 'x-ram-digest': true });
      const link = await pair.openLink();
      const flipped = link.flips.flip({ frame: 'PAGES', offset: -5 });
      await pair.migrateByPostcopy(link.uri);
      await flipped;
      await pair.waitForBoth('completed');
      await pair.source.waitForEvent('X_MIGRATION_RAM_DIFFERS');
      const { 'error-desc': why } = await pair.source.execute<Info>('query-migrate');
      expect(why).toMatch(/RAM is not the same on both sides: block '/);
      const { receipt } = await pair.source.execute<Signed>(ASK);
      const error = { code: 'ERR_RAM_DIFFERS' };
      expect(receipt).toMatchObject({ outcome: 'completed', owner: 'destination', error });
      await pair.destination.execute('stop');
      expect(await pair.destination.execute('x-guest-verify')).toMatchObject({ 'pages-bad': 1 });
    });
  });
});
