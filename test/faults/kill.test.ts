import { describe, expect, test } from 'vitest';
import type { GuestProcess } from '../support/guest-process.ts';
import { assertOneAtATime } from '../support/ownership.ts';
import { expectOwner, expectRunning, type Pair, withPair } from '../support/pair.ts';
import { CALM_RATE, converging, crawling, endless, fast } from '../support/parameters.ts';
import { transports } from '../support/addresses.ts';

const modes = ['precopy', 'postcopy'] as const;

function begin(pair: Pair, mode: (typeof modes)[number], uri: string): Promise<void> {
  return mode === 'postcopy' ? pair.migrateByPostcopy(uri) : pair.migrate(uri);
}

/** It has no right to the guest, and nobody can talk it into running it. */
async function expectNeverRuns(guest: GuestProcess): Promise<void> {
  expect((await guest.runStatus()).running).toBe(false);
  // Whoever waits for a guest takes the word for when it arrives, and runs nothing.
  if ((await guest.runStatus()).status === 'inmigrate') await guest.execute('cont');
  else await expect(guest.execute('cont')).rejects.toThrow(/not finalized|migrated/);
  expect((await guest.runStatus()).running).toBe(false);
}

describe.each(transports)('over %s', (transport) => {
  test('the source goes on when the destination dies among the passes', async () => {
    await withPair({ transport, workload: 'random', parameters: endless }, async (pair) => {
      const { source, destination, uri } = pair;
      await pair.migrate();
      await source.waitForPass(2);
      await pair.kill(destination);
      await source.waitForStatus('failed');
      expect(source.statuses).toEqual(['setup', 'active', 'failed']);
      await expectRunning(pair, source);
      // Its socket file, if it has one, is still there; the next one takes its place.
      const restarted = await pair.startDestination('restarted', uri);
      await source.setParameters(converging);
      await pair.migrate();
      await source.waitForStatus('completed');
      await restarted.waitForStatus('completed');
      await expectOwner(pair, restarted);
    });
  });

  test('the destination discards and ends when the source dies among the passes', async () => {
    await withPair({ transport, workload: 'random', parameters: endless }, async (pair) => {
      await pair.migrate();
      await pair.source.waitForPass(2);
      await pair.kill(pair.source);
      await pair.expectFailed(pair.destination);
      expect(pair.destination.statuses).toEqual(['setup', 'active', 'failed']);
      expect(pair.destination.events.entries.map(({ name }) => name)).not.toContain('RESUME');
    });
  });

  test('a destination that was restarted does not pass for the one that has the guest', async () => {
    const options = { postcopy: true, rate: CALM_RATE, parameters: crawling } as const;
    await withPair({ ...options, transport }, async (pair) => {
      const { source, destination, uri } = pair;
      await pair.untilPostcopyActive();
      await pair.kill(destination);
      await source.waitForStatus('postcopy-paused');
      const restarted = await pair.startDestination('restarted', uri);
      await pair.resume();
      await source.waitForStatus('postcopy-paused');
      expect(await source.errorDescription()).toMatch(/other-session/);
      expect(restarted.statuses).toEqual(['setup']);
      await expectNeverRuns(source);
    });
  });
});

describe.each(modes)('during the commit of %s', (mode) => {
  const postcopy = mode === 'postcopy';
  const options = { postcopy, parameters: postcopy ? endless : fast } as const;

  test('the source takes the guest back when the destination dies before the order', async () => {
    await withPair(options, async (pair) => {
      const link = await pair.openLink();
      const held = link.hold({ frame: 'loaded' });
      await begin(pair, mode, link.uri);
      await held.reached;
      await pair.kill(pair.destination);
      held.release();
      const { source } = pair;
      const outcome = await source.waitForOneOf(['failed', 'postcopy-paused']);
      // The word was under way when it died: whoever heard it has let go of the guest.
      if (outcome === 'failed') await expectOwner(pair, source);
      else await expectNeverRuns(source);
    });
  });

  test('the source takes the guest back when "loaded" dies with the destination', async () => {
    await withPair(options, async (pair) => {
      const link = await pair.openLink();
      const held = link.hold({ frame: 'loaded' });
      await begin(pair, mode, link.uri);
      await held.reached;
      await pair.kill(pair.destination);
      link.cut();
      await pair.source.waitForStatus('failed');
      await expectOwner(pair, pair.source);
    });
  });

  test('the destination does not run the guest when the source dies before the order', async () => {
    await withPair(options, async (pair) => {
      const link = await pair.openLink();
      const held = link.hold({ frame: 'loaded' });
      await begin(pair, mode, link.uri);
      await held.reached;
      await pair.kill(pair.source);
      link.cut();
      await pair.destination.waitForStatus('postcopy-paused');
      await expectNeverRuns(pair.destination);
    });
  });

  test('nobody runs the guest when the destination dies with the order', async () => {
    await withPair(options, async (pair) => {
      const link = await pair.openLink();
      const held = link.hold({ frame: 'run' });
      await begin(pair, mode, link.uri);
      await held.reached;
      await pair.kill(pair.destination);
      link.cut();
      await pair.source.waitForStatus('postcopy-paused');
      await expectNeverRuns(pair.source);
      await pair.resume(link.uri);
      await pair.source.waitForStatus('postcopy-paused');
      await expectNeverRuns(pair.source);
    });
  });

  test('nobody runs the guest when the source dies with the order', async () => {
    await withPair(options, async (pair) => {
      const link = await pair.openLink();
      const held = link.hold({ frame: 'run' });
      await begin(pair, mode, link.uri);
      await held.reached;
      await pair.kill(pair.source);
      link.cut();
      await pair.destination.waitForStatus('postcopy-paused');
      await expectNeverRuns(pair.destination);
    });
  });

  test('nobody runs the guest when the destination dies after the order', async () => {
    await withPair(options, async (pair) => {
      const link = await pair.openLink();
      const held = link.hold({ frame: 'running' });
      await begin(pair, mode, link.uri);
      await held.reached;
      await pair.kill(pair.destination);
      link.cut();
      await pair.source.waitForStatus('postcopy-paused');
      await expectNeverRuns(pair.source);
      assertOneAtATime([pair.source, pair.destination]);
    });
  });
});

test('the destination has all and runs on when the source of a precopy dies after the order', async () => {
  await withPair({ parameters: fast }, async (pair) => {
    const link = await pair.openLink();
    const held = link.hold({ frame: 'running' });
    await pair.migrate(link.uri);
    await held.reached;
    await pair.kill(pair.source);
    link.cut();
    await pair.destination.waitForStatus('completed');
    await expectOwner(pair, pair.destination);
  });
});

test('the destination of a postcopy keeps what it has when the source dies, and can end', async () => {
  const options = { workload: 'random', postcopy: true, vcpus: 2, parameters: crawling } as const;
  await withPair(options, async (pair) => {
    await pair.untilPostcopyActive();
    await pair.kill(pair.source);
    await pair.destination.waitForStatus('postcopy-paused');
    expect(await pair.destination.errorDescription()).toBeDefined();
    await expect(pair.destination.execute('x-guest-verify')).rejects.toThrow(/missing|stop/);
  });
});
