import { describe, expect, test } from 'vitest';
import { transports } from '../support/addresses.ts';
import type { CutOptions, LinkProxy } from '../support/link-proxy.ts';
import { expectOwner, type Pair, withPair } from '../support/pair.ts';
import { CALM_RATE, crawling } from '../support/parameters.ts';
import { Random } from '../support/seed.ts';
import type { Direction } from '../support/wire-reader.ts';

const positions = ['before', 'middle', 'after'] as const;
const kinds = ['rst', 'fin'] as const;

/** What is said in a recovery, in order; the urgent channel's opening falls between. */
const handshake = [
  { role: 'main', frame: 'hello' },
  { role: 'main', frame: 'answer' },
  { role: 'main', frame: 'recover' },
  { role: 'main', frame: 'RECV_BITMAP' },
  { role: 'main', frame: 'recovering' },
  { role: 'urgent', frame: 'hello' },
  { role: 'urgent', frame: 'answer' },
  { role: 'main', frame: 'resume' },
  { role: 'main', frame: 'resumed' },
] as const;

/** Enough pages that some are still missing after the last break. */
const options = {
  memory: '32M',
  postcopy: true,
  rate: CALM_RATE,
  parameters: crawling,
} as const;

async function untilPaused(pair: Pair): Promise<LinkProxy> {
  const link = await pair.openLink();
  await pair.untilPostcopyActive(link.uri);
  link.cut();
  await pair.waitForBoth('postcopy-paused');
  return link;
}

/** One attempt that the link does not survive; whatever it had reached, both are paused afterwards. */
async function expectPausedAgain(
  pair: Pair,
  link: LinkProxy,
  cut: Promise<unknown>,
): Promise<void> {
  const { source, destination } = pair;
  const told = source.statuses.length;
  await pair.resume(link.uri);
  await cut;
  await source.untilStatusIs('postcopy-paused');
  const seen = source.statuses.slice(told);
  const longest = ['postcopy-recover-setup', 'postcopy-recover', 'postcopy-active'];
  expect(seen.slice(0, -1)).toEqual(longest.slice(0, seen.length - 1));
  expect(seen.at(-1)).toBe('postcopy-paused');
  await destination.untilStatusIs('postcopy-paused');
  expect((await source.runStatus()).running).toBe(false);
  expect((await destination.runStatus()).running).toBe(true);
}

async function expectGoodRecovery(pair: Pair, link: LinkProxy): Promise<void> {
  link.forgetCuts();
  await pair.resume(link.uri);
  await pair.waitForBoth('postcopy-active');
  await pair.untilCompleted();
  await expectOwner(pair, pair.destination);
}

describe.each(transports)('over %s', (transport) => {
  test('a recovery cut at any of its messages is only one more pause', async () => {
    const random = new Random(`messages ${transport}`);
    await withPair({ ...options, transport }, async (pair) => {
      const link = await untilPaused(pair);
      for (const message of handshake) {
        for (const at of positions) {
          const cut: CutOptions = { ...message, at, kind: random.pick(kinds) };
          await expectPausedAgain(pair, link, link.cutWhen(cut));
        }
      }
      await expectGoodRecovery(pair, link);
    });
  });

  test('a recovery cut at any byte of its opening is only one more pause', async () => {
    const random = new Random(`bytes ${transport}`);
    await withPair({ ...options, transport }, async (pair) => {
      const link = await untilPaused(pair);
      const lengths: [Direction, number][] = [
        ['to-source', 32 + 48],
        ['to-destination', 96 + 24],
      ];
      for (const [direction, length] of lengths) {
        for (let bytes = 0; bytes <= length; bytes += random.between(8, 24)) {
          const kind = random.pick(kinds);
          await expectPausedAgain(pair, link, link.cutAfterBytes({ direction, bytes, kind }));
        }
      }
      await expectGoodRecovery(pair, link);
    });
  });

  test('twenty cuts at random moments of one migration lose nothing', async () => {
    const random = new Random(`twenty cuts ${transport}`);
    const preempt = random.chance(0.5);
    await withPair({ ...options, transport, preempt }, async (pair) => {
      const link = await untilPaused(pair);
      for (let breaks = 1; breaks < 20; breaks += 1) {
        if (random.chance(0.3)) link.target = await pair.recoverAt();
        if (random.chance(0.3)) await link.listenElsewhere();
        const cut = link.cutAfterBytes({
          direction: random.pick(['to-source', 'to-destination']),
          // A recovery says some 1500 bytes either way; the rest are pages and requests for them.
          bytes: random.between(0, random.chance(0.5) ? 1500 : 6000),
          kind: random.pick(kinds),
        });
        await expectPausedAgain(pair, link, cut);
      }
      await expectGoodRecovery(pair, link);
    });
  });
});
