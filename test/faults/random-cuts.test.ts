import { describe, expect, test } from 'vitest';
import { transports } from '../support/addresses.ts';
import type { LinkProxy } from '../support/link-proxy.ts';
import { expectOwner, expectRunning, type Pair, withPair } from '../support/pair.ts';
import { endless, fast } from '../support/parameters.ts';
import { Random } from '../support/seed.ts';

const modes = ['precopy', 'postcopy'] as const;
const ROUNDS = 3;
/** Memory of 8 MiB with vga.vram is 12 MiB on the wire, some of it more than once. */
const BYTES_MAX = 16 * 1024 * 1024;

/** However the first link ended: one side has the guest, or the destination has it after a recovery. */
async function expectOneOwner(pair: Pair, link: LinkProxy): Promise<void> {
  const { source, destination } = pair;
  link.forgetCuts();
  const outcome = await source.waitForOneOf(['failed', 'postcopy-paused', 'completed']);
  if (outcome === 'failed') {
    await expectRunning(pair, source);
    await expectOwner(pair, source);
    return;
  }
  if (outcome === 'postcopy-paused') {
    await pair.resume(link.uri);
    await source.waitForStatus('completed');
  }
  await destination.untilStatusIs('completed');
  await expectOwner(pair, destination);
}

describe.each(modes)('%s', (mode) => {
  const rounds = Array.from({ length: ROUNDS }, (_, i) => i + 1);

  test.each(rounds)('a link cut anywhere leaves one whole guest (round %i)', async (round) => {
    const random = new Random(`anywhere ${mode} ${round}`);
    const postcopy = mode === 'postcopy';
    const direction = random.pick(['to-source', 'to-destination'] as const);
    const bytes =
      direction === 'to-source' ? random.between(0, 2000) : random.between(0, BYTES_MAX);
    const options = {
      transport: random.pick(transports),
      workload: random.pick(['sweep', 'random', 'zipf'] as const),
      preempt: random.chance(0.7),
      ...(random.chance(0.4) ? { channels: random.between(1, 4) } : {}),
      memory: '8M',
      vcpus: random.between(1, 3),
      parameters: postcopy ? endless : fast,
      postcopy,
    };
    await withPair(options, async (pair) => {
      const link = await pair.openLink();
      const kind = random.pick(['rst', 'fin'] as const);
      void link.cutAfterBytes({ direction, bytes, kind }); // it may be over before
      await (postcopy ? pair.migrateByPostcopy(link.uri) : pair.migrate(link.uri));
      await expectOneOwner(pair, link);
      expect(link.violations).toEqual([]);
    });
  });
});
