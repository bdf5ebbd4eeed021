import { describe, expect, test } from 'vitest';
import { transports } from '../support/addresses.ts';
import type { GuestProcess } from '../support/guest-process.ts';
import { assertOneAtATime } from '../support/ownership.ts';
import { expectOwner, type Pair, withPair } from '../support/pair.ts';
import { CALM_RATE, crawling, endless, fast } from '../support/parameters.ts';
import { Suspension } from '../support/suspension.ts';

/*
 * A process that is stopped (SIGSTOP) keeps its connections, and its kernel answers for it: only its silence
 * tells. Later it wakes up and knows nothing of what the others have decided meanwhile.
 */

const TIMEOUT_MILLIS = 2000;
/** For a busy machine: from the notice to the event. */
const SLACK_MILLIS = 1500;
const beating = { 'x-heartbeat-interval': 200, 'x-link-timeout': TIMEOUT_MILLIS };
const inPostcopy = {
  postcopy: true,
  rate: CALM_RATE,
  parameters: { ...crawling, ...beating },
} as const;

async function expectInTime(
  guest: GuestProcess,
  status: string,
  { sinceMillis }: Suspension,
): Promise<void> {
  await guest.waitForStatus(status);
  const event = guest.events.entries.findLast((entry) => entry.status === status);
  const millis = (event?.micros ?? Infinity) / 1000 - sinceMillis;
  expect(millis).toBeLessThanOrEqual(TIMEOUT_MILLIS + SLACK_MILLIS);
  expect(await guest.errorDescription()).toMatch(/silent for 2000 ms/);
}

async function prepare(pair: Pair): Promise<void> {
  await pair.destination.setParameters({ 'x-link-timeout': TIMEOUT_MILLIS });
}

async function expectRecovery(pair: Pair): Promise<void> {
  await pair.resume();
  await pair.waitForBoth('postcopy-active');
  await pair.untilCompleted();
  await expectOwner(pair, pair.destination);
}

describe.each(transports)('over %s, in postcopy', (transport) => {
  test('a source that is stopped pauses the destination; woken up it finds its link gone', async () => {
    await withPair({ ...inPostcopy, transport }, async (pair) => {
      const { source, destination } = pair;
      await prepare(pair);
      await pair.untilPostcopyActive();
      using suspension = new Suspension(source);
      await expectInTime(destination, 'postcopy-paused', suspension);
      expect((await destination.runStatus()).running).toBe(true);
      suspension.end();
      await source.waitForStatus('postcopy-paused');
      expect(await source.errorDescription()).not.toMatch(/silent/); // it does not blame the peer
      expect((await source.runStatus()).running).toBe(false);
      await expectRecovery(pair);
    });
  });

  test('a destination that is stopped pauses the source; attempts fail until it wakes up', async () => {
    await withPair({ ...inPostcopy, transport }, async (pair) => {
      const { source, destination } = pair;
      await prepare(pair);
      await pair.untilPostcopyActive();
      using suspension = new Suspension(destination);
      await expectInTime(source, 'postcopy-paused', suspension);
      await source.setParameters({ 'x-handshake-timeout': 300 });
      for (let attempt = 1; attempt <= 3; attempt += 1) {
        const told = source.statuses.length;
        await pair.resume();
        await source.waitForStatus('postcopy-paused');
        const failed = ['postcopy-recover-setup', 'postcopy-paused'];
        expect(source.statuses.slice(told)).toEqual(failed);
        expect(await source.errorDescription()).toMatch(/no answer within 300 ms/);
      }
      expect((await source.runStatus()).running).toBe(false);
      await source.setParameters({ 'x-handshake-timeout': 10_000 });
      suspension.end();
      await destination.waitForStatus('postcopy-paused');
      await expectRecovery(pair);
    });
  });
});

test('a destination that wakes up is found without anybody asking', async () => {
  const soon = {
    'x-recover-backoff': 50,
    'x-recover-backoff-max': 100,
    'x-recover-attempts': 1000,
  };
  const parameters = { ...inPostcopy.parameters, ...soon };
  await withPair({ ...inPostcopy, parameters }, async (pair) => {
    const { source, destination } = pair;
    await prepare(pair);
    await source.setCapabilities({ 'x-auto-recover': true });
    await pair.untilPostcopyActive();
    await source.setParameters({ 'x-handshake-timeout': 500 });
    using suspension = new Suspension(destination);
    // The link is lost; then two attempts fail.
    for (let lost = 0; lost < 3; lost += 1) await source.waitForStatus('postcopy-paused');
    suspension.end();
    await source.setParameters({ 'x-handshake-timeout': 10_000 });
    await pair.waitForBoth('postcopy-active');
    await pair.untilCompleted();
    await expectOwner(pair, destination);
  });
});

test('an attempt that was given up and arrives late is stale, and displaces nobody', async () => {
  await withPair(inPostcopy, async (pair) => {
    const { source, destination } = pair;
    const link = await pair.openLink();
    await pair.untilPostcopyActive();
    await source.executeOob('migrate-pause');
    await pair.waitForBoth('postcopy-paused');
    const late = link.hold({ frame: 'hello', epoch: 1 });
    await source.setParameters({ 'x-handshake-timeout': 300 });
    await pair.resume(link.uri);
    await late.reached;
    await source.waitForStatus('postcopy-paused');
    await source.setParameters({ 'x-handshake-timeout': 10_000 });
    await pair.resume();
    await pair.waitForBoth('postcopy-active');
    const told = destination.statuses.length;
    late.release();
    const answer = await link.seen({ frame: 'answer', epoch: 1 });
    expect(answer.byteLength).toBe(48 + 'the link is in epoch 2'.length); // a refusal with its reason
    await pair.untilCompleted();
    expect(destination.statuses.slice(told)).toEqual(['completed']);
    await expectOwner(pair, destination);
  });
});

describe('in precopy', () => {
  const options = { parameters: { ...endless, ...beating } } as const;

  test('a source that is stopped loses its destination and keeps its guest', async () => {
    await withPair(options, async (pair) => {
      const { source, destination } = pair;
      await prepare(pair);
      await pair.migrate();
      await pair.waitForBoth('active');
      using suspension = new Suspension(source);
      await pair.expectFailed(destination);
      expect(destination.output).toMatch(/silent for 2000 ms/);
      suspension.end();
      await source.waitForStatus('failed');
      await expectOwner(pair, source);
    });
  });

  test('a destination that is stopped is given up; woken up it discards and ends', async () => {
    await withPair(options, async (pair) => {
      const { source, destination } = pair;
      await prepare(pair);
      await pair.migrate();
      await pair.waitForBoth('active');
      using suspension = new Suspension(destination);
      await expectInTime(source, 'failed', suspension);
      expect((await source.runStatus()).running).toBe(true);
      suspension.end();
      await pair.expectFailed(destination);
      await expectOwner(pair, source);
    });
  });
});

describe.each(['precopy', 'postcopy'] as const)('in the commit of %s', (mode) => {
  const postcopy = mode === 'postcopy';
  const parameters = { ...(postcopy ? endless : fast), ...beating };
  const options = { postcopy, parameters } as const;

  async function begin(pair: Pair, uri: string): Promise<void> {
    await (postcopy ? pair.migrateByPostcopy(uri) : pair.migrate(uri));
  }

  test('a source that is stopped before the order wakes up with the guest or without, not both', async () => {
    await withPair(options, async (pair) => {
      const { source, destination } = pair;
      await prepare(pair);
      const link = await pair.openLink();
      const held = link.hold({ frame: 'loaded' });
      await begin(pair, link.uri);
      await held.reached;
      using suspension = new Suspension(source);
      held.release();
      await destination.waitForStatus('postcopy-paused');
      expect((await destination.runStatus()).running).toBe(false);
      suspension.end();
      // It finds the word and the end of the link together, and may see either first.
      const outcome = await source.waitForOneOf(['failed', 'postcopy-paused']);
      if (outcome === 'failed') return await expectSoleOwner(pair, source);
      expect((await source.runStatus()).running).toBe(false);
      await pair.resume();
      await pair.waitForBoth('completed');
      await expectOwner(pair, destination);
    });
  });

  test('a destination that is stopped before the order reaches it gets it in a recovery', async () => {
    await withPair(options, async (pair) => {
      const { source, destination } = pair;
      await prepare(pair);
      const link = await pair.openLink();
      const held = link.hold({ frame: 'run' });
      await begin(pair, link.uri);
      await held.reached;
      using suspension = new Suspension(destination);
      await expectInTime(source, 'postcopy-paused', suspension);
      expect((await source.runStatus()).running).toBe(false);
      link.cut();
      suspension.end();
      await destination.waitForStatus('postcopy-paused');
      expect((await destination.runStatus()).running).toBe(false);
      await pair.resume();
      await pair.waitForBoth('completed');
      await expectOwner(pair, destination);
    });
  });

  test('a destination that is stopped before "loaded" leaves the guest at the source', async () => {
    await withPair(options, async (pair) => {
      const { source, destination } = pair;
      await prepare(pair);
      const link = await pair.openLink();
      const held = link.hold({ frame: 'DEVICE' });
      await begin(pair, link.uri);
      await held.reached;
      using suspension = new Suspension(destination);
      held.release();
      await expectInTime(source, 'failed', suspension);
      expect((await source.runStatus()).running).toBe(true);
      suspension.end();
      const isOver = ({ status = '' }): boolean => ['failed', 'postcopy-paused'].includes(status);
      await destination.events.find(isOver, { since: 0, what: 'the end of its link' });
      expect(destination.events.entries.map(({ name }) => name)).not.toContain('RESUME');
      if (destination.statuses.at(-1) === 'failed') await pair.expectFailed(destination);
      else await expectSoleOwner(pair, source);
    });
  });
});

/** The other one waits for an order that never comes: it cannot be made to run. */
async function expectSoleOwner(pair: Pair, owner: GuestProcess): Promise<void> {
  expect((await owner.runStatus()).running).toBe(true);
  for (const other of pair.othersThan(owner)) {
    expect((await other.runStatus()).running).toBe(false);
  }
  assertOneAtATime([pair.source, pair.destination]);
}
