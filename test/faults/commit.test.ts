import { describe, expect, test } from 'vitest';
import { transports } from '../support/addresses.ts';
import type { LinkProxy } from '../support/link-proxy.ts';
import { expectOwner, expectRunning, type Pair, withPair } from '../support/pair.ts';
import { converging, endless, fast } from '../support/parameters.ts';
import { Random } from '../support/seed.ts';

const positions = ['before', 'middle', 'after'] as const;
const commit = ['loaded', 'run', 'running', 'complete', 'finished'] as const;

type Position = (typeof positions)[number];
type Outcome = 'failed' | 'postcopy-paused' | 'completed';

/** Where the source may stand after a cut there; two where it depends on who is faster. */
const outcomes: Readonly<Record<(typeof commit)[number], Readonly<Record<Position, Outcome[]>>>> = {
  loaded: { before: ['failed'], middle: ['failed'], after: ['failed', 'postcopy-paused'] },
  run: everywhere('postcopy-paused'),
  running: everywhere('postcopy-paused'),
  complete: { ...everywhere('postcopy-paused'), after: ['postcopy-paused', 'completed'] },
  finished: everywhere('postcopy-paused', 'completed'),
};

function everywhere(...possible: Outcome[]): Record<Position, Outcome[]> {
  return { before: possible, middle: possible, after: possible };
}

/** The order never left: the guest goes on at the source, and leaves for another destination. */
async function expectKept(pair: Pair): Promise<void> {
  const { source, destination } = pair;
  await expectRunning(pair, source);
  expect(destination.events.entries.map(({ name }) => name)).not.toContain('RESUME');
  await pair.startDestination('another');
  await source.setParameters(converging);
  await pair.migrate();
  await source.waitForStatus('completed');
  await pair.destination.waitForStatus('completed');
  await expectOwner(pair, pair.destination);
}

/** The order may have arrived: the source waits for the destination's word, however often. */
async function expectRecovered(pair: Pair, link: LinkProxy): Promise<void> {
  const { source, destination } = pair;
  expect((await source.runStatus()).running).toBe(false);
  await expect(source.execute('cont')).rejects.toThrow(/not finalized/);
  await pair.resume(link.uri);
  await source.waitForStatus('completed');
  await destination.untilStatusIs('completed');
  await expectOwner(pair, destination);
}

const modes = ['precopy', 'postcopy'] as const;

describe.each(modes)('%s', (mode) => {
  describe.each(commit)('cut at "%s"', (message) => {
    test.each(positions)('%s: one side has the guest, and it is whole', async (at) => {
      const random = new Random(`${mode} ${message} ${at}`);
      const transport = random.pick(transports);
      const postcopy = mode === 'postcopy';
      const parameters = postcopy ? endless : fast;
      await withPair({ transport, postcopy, parameters }, async (pair) => {
        const { source, destination } = pair;
        const link = await pair.openLink();
        const kind = random.pick(['rst', 'fin'] as const);
        const cut = link.cutWhen({ frame: message, at, kind });
        await (postcopy ? pair.migrateByPostcopy(link.uri) : pair.migrate(link.uri));
        await cut;
        const outcome = await source.waitForOneOf(['failed', 'postcopy-paused', 'completed']);
        expect(outcomes[message][at]).toContain(outcome);
        if (outcome === 'failed') await expectKept(pair);
        else if (outcome === 'postcopy-paused') await expectRecovered(pair, link);
        else {
          await destination.untilStatusIs('completed');
          await expectOwner(pair, destination);
        }
      });
    });
  });

  test('cut again at every message on the way back, it still ends with one whole guest', async () => {
    const random = new Random(`${mode} twice`);
    const postcopy = mode === 'postcopy';
    const parameters = postcopy ? endless : fast;
    await withPair({ postcopy, parameters }, async (pair) => {
      const { source, destination } = pair;
      const link = await pair.openLink();
      let cut = link.cutWhen({ frame: 'run', at: 'before' });
      await (postcopy ? pair.migrateByPostcopy(link.uri) : pair.migrate(link.uri));
      await cut;
      await source.waitForStatus('postcopy-paused');
      for (const frame of ['recover', 'recovering', 'run', 'running', 'resumed'] as const) {
        cut = link.cutWhen({ frame, at: random.pick(positions) });
        await pair.resume(link.uri);
        // Once the order has arrived it is not sent again: nothing is cut, all is well.
        const ended = source.waitForOneOf(['postcopy-paused', 'completed']);
        await Promise.race([cut, ended]);
        if ((await ended) === 'completed') break;
      }
      link.forgetCuts();
      if (source.statuses.at(-1) !== 'completed') {
        await pair.resume(link.uri);
        await source.waitForStatus('completed');
      }
      await destination.untilStatusIs('completed');
      await expectOwner(pair, destination);
    });
  });
});
