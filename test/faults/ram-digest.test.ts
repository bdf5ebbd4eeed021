import { expect, test } from 'vitest';
import { expectOwner, withPair } from '../support/pair.ts';
import { endless, converging, fast } from '../support/parameters.ts';

interface Info {
  readonly 'error-desc'?: string;
}

interface Signed {
  readonly receipt: {
    readonly outcome: string;
    readonly owner: string;
    readonly 'ram-digests'?: readonly { readonly block: string; readonly digest: string }[];
  };
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
      const ask = 'x-query-migration-receipt';
      const { receipt: ours } = await pair.source.execute<Signed>(ask);
      const { receipt: theirs } = await pair.destination.execute<Signed>(ask);
      expect(ours['ram-digests']).toMatchObject([{ block: 'pc.ram' }, { block: 'vga.vram' }]);
      expect(theirs['ram-digests']).toEqual(ours['ram-digests']);
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
    const { receipt } = await pair.source.execute<Signed>('x-query-migration-receipt');
    expect(receipt).toMatchObject({
      outcome: 'failed',
      owner: 'source',
      error: { code: 'ERR_DAMAGED' },
    });
    await expectOwner(pair, pair.source);
  });
});
