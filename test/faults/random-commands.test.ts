import { QmpError, QmpSocketError } from '@godwit/qmp';
import { describe, expect, test } from 'vitest';
import { transports } from '../support/addresses.ts';
import type { LinkProxy } from '../support/link-proxy.ts';
import { assertOneAtATime } from '../support/ownership.ts';
import { expectOwner, type Pair, withPair } from '../support/pair.ts';
import { CALM_RATE, converging, crawling } from '../support/parameters.ts';
import { Random, seed } from '../support/seed.ts';
import { within } from '../support/wait.ts';

const ROUNDS = 3;
const COMMANDS = 30;
const SETTLING_ATTEMPTS = 8;

type Act = (pair: Pair, link: LinkProxy, random: Random) => Promise<unknown> | void;

/** Whatever an operator may ask for, at any moment; and what may happen to the link. */
const acts: Readonly<Record<string, Act>> = {
  migrate: ({ source }, link) => source.execute('migrate', { uri: link.uri }),
  'start postcopy': ({ source }) => source.execute('migrate-start-postcopy'),
  cancel: ({ source }) => source.execute('migrate_cancel'),
  'pause at the source': ({ source }) => source.executeOob('migrate-pause'),
  'pause at the destination': ({ destination }) => destination.executeOob('migrate-pause'),
  resume: (pair, link) => pair.resume(link.uri),
  'recover elsewhere': async (pair, link) => {
    link.target = await pair.recoverAt();
  },
  'stop at the source': ({ source }) => source.execute('stop'),
  'cont at the source': ({ source }) => source.execute('cont'),
  'cont at the destination': ({ destination }) => destination.execute('cont'),
  'query both': ({ source, destination }) =>
    Promise.all([source.execute('query-migrate'), destination.execute('query-migrate')]),
  crawl: ({ source }) => source.setParameters(crawling),
  converge: ({ source }) => source.setParameters({ ...converging, 'max-postcopy-bandwidth': 0 }),
  'cut the link': (_pair, link, random) => link.cut(random.pick(['rst', 'fin'])),
  'cut a channel': (_pair, link, random) =>
    link.cut('rst', { role: random.pick(['main', 'urgent']) }),
};

/** What a sensible order makes likelier: else most rounds end before postcopy. */
const likely = ['migrate', 'start postcopy', 'resume', 'resume', 'resume', 'cont at the source'];

/** @returns what was asked for and how it was answered, for a failure. */
async function actAtRandom(pair: Pair, link: LinkProxy, random: Random): Promise<string> {
  const name = random.pick(random.chance(0.5) ? likely : Object.keys(acts));
  try {
    await acts[name]?.(pair, link, random);
  } catch (error) {
    if (error instanceof QmpError) return `${name}: refused`;
    if (!(error instanceof QmpSocketError)) throw error;
    await pair.source.runStatus(); // the source never ends by itself, the destination may
    await within(pair.destination.exited, 'the end of the destination');
    return `${name}: the destination has ended`;
  }
  return name;
}

/** At once, after some answers, or once something has happened. */
async function letPass(pair: Pair, random: Random): Promise<void> {
  const { events } = pair.source;
  if (random.chance(0.4)) {
    const options = { since: events.entries.length, what: 'an event', limitMillis: 400 };
    await events.find(() => true, options).catch(() => undefined); // or that nothing happens
  }
  for (let left = random.between(0, 30); left > 0; left -= 1) await pair.source.runStatus();
}

/** Until the guest has left: whatever state the migration was left in, there is a way on. */
async function settle(pair: Pair, link: LinkProxy): Promise<void> {
  const { source } = pair;
  const ends = ['completed', 'failed', 'cancelled', 'postcopy-paused'];
  await source.setParameters({ ...converging, 'max-postcopy-bandwidth': 0 });
  for (let attempt = 0; attempt < SETTLING_ATTEMPTS; attempt += 1) {
    const status = source.statuses.at(-1) ?? 'failed';
    if (!ends.includes(status)) await source.waitForOneOf(ends);
    else if (status === 'completed') return;
    else if (status === 'postcopy-paused') await pair.resume(link.uri);
    else {
      await pair.startDestination(`settled${attempt}`);
      link.target = pair.uri;
      await source.execute('migrate', { uri: link.uri });
    }
  }
  throw new Error(`${source.name} came to no end`);
}

describe('commands in any order', () => {
  const rounds = Array.from({ length: ROUNDS }, (_, i) => i + 1);

  test.each(rounds)('never make two owners of a guest, nor none (round %i)', async (round) => {
    const random = new Random(`commands ${round}`);
    const options = {
      memory: '32M',
      transport: random.pick(transports),
      workload: random.pick(['sweep', 'random', 'zipf'] as const),
      rate: random.pick([CALM_RATE, 250_000, 0]),
      vcpus: random.between(1, 3),
      preempt: random.chance(0.7),
      postcopy: true,
      parameters: crawling,
    };
    await withPair(options, async (pair) => {
      const link = await pair.openLink();
      const told: string[] = [];
      try {
        for (let i = 0; i < COMMANDS; i += 1) {
          if (pair.destination.exit !== undefined) {
            await pair.startDestination(`destination${i}`);
            link.target = pair.uri;
          }
          told.push(await actAtRandom(pair, link, random));
          await letPass(pair, random);
          assertOneAtATime([pair.source, ...pair.othersThan(pair.source)]);
        }
        await settle(pair, link);
        const { destination } = pair;
        await destination.untilStatusIs('completed');
        await destination.execute('cont');
        expect(pair.source.exit).toBeUndefined();
        await expectOwner(pair, destination);
      } catch (error) {
        throw new Error(`seed ${seed}, after ${told.join(', ')}: ${String(error)}`, {
          cause: error,
        });
      }
    });
  });
});
