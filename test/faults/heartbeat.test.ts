import { describe, expect, test } from 'vitest';
import { transports } from '../support/addresses.ts';
import { type FrameMatcher, Relay } from '@godwit/chaos';
import type { GuestProcess } from '../support/guest-process.ts';
import type { LinkProxy } from '../support/link-proxy.ts';
import { expectOwner, type Pair, withPair } from '../support/pair.ts';
import { CALM_RATE, crawling, endless } from '../support/parameters.ts';
import { psk } from '../support/tls-steps.ts';

const INTERVAL_MILLIS = 200;
const TIMEOUT_MILLIS = 2000;
/** For a busy machine: from the notice to the event, and for the other side to see the end. */
const SLACK_MILLIS = 1500;

const beating = { 'x-heartbeat-interval': INTERVAL_MILLIS, 'x-link-timeout': TIMEOUT_MILLIS };
const options = {
  postcopy: true,
  rate: CALM_RATE,
  parameters: { ...crawling, ...beating },
} as const;

async function open(pair: Pair): Promise<LinkProxy> {
  await pair.destination.setParameters({ 'x-link-timeout': TIMEOUT_MILLIS });
  return await pair.openLink();
}

/** One direction of one connection stands still from its next message on; nobody is told. */
async function blackHole(link: LinkProxy, lane: FrameMatcher): Promise<void> {
  await link.hold(lane).reached;
}

/** The limit counts from the last word of a channel: one is to have come. */
async function expectBeat(link: LinkProxy, lane: FrameMatcher): Promise<void> {
  await link.seen({ ...lane, frame: 'HEARTBEAT' });
}

/** How long after `sinceMillis` it said that it has this status. */
function millisUntil(guest: GuestProcess, status: string, sinceMillis: number): number {
  const event = guest.events.entries.findLast((entry) => entry.status === status);
  return (event?.micros ?? Infinity) / 1000 - sinceMillis;
}

async function expectBothInTime(pair: Pair, status: string, sinceMillis: number): Promise<void> {
  await pair.waitForBoth(status);
  for (const guest of [pair.source, pair.destination]) {
    const millis = millisUntil(guest, status, sinceMillis);
    expect(millis).toBeLessThanOrEqual(TIMEOUT_MILLIS + SLACK_MILLIS);
  }
}

async function errors(pair: Pair): Promise<string> {
  const { source, destination } = pair;
  return [await source.errorDescription(), await destination.errorDescription()].join('\n');
}

/** Both have noticed in time, and the guest has stayed where it was. */
async function expectSourceKeeps(pair: Pair, sinceMillis: number): Promise<void> {
  await pair.source.waitForStatus('failed');
  const millis = millisUntil(pair.source, 'failed', sinceMillis);
  expect(millis).toBeLessThan(TIMEOUT_MILLIS + SLACK_MILLIS);
  expect(await pair.source.errorDescription()).toMatch(/silent for 2000 ms/);
  await pair.expectFailed(pair.destination);
  expect(pair.destination.output).toMatch(/silent for 2000 ms/);
  await expectOwner(pair, pair.source);
}

async function expectRecovery(pair: Pair): Promise<void> {
  await pair.resume();
  await pair.waitForBoth('postcopy-active');
  await pair.untilCompleted();
  await expectOwner(pair, pair.destination);
}

const lanes = {
  'main, to the destination': { role: 'main', direction: 'to-destination' },
  'main, to the source': { role: 'main', direction: 'to-source' },
  urgent: { role: 'urgent', direction: 'to-destination' },
  page: { role: 'page', direction: 'to-destination' },
} as const satisfies Record<string, FrameMatcher>;

describe.each(transports)('a link over %s', (transport) => {
  test.each(Object.keys(lanes) as (keyof typeof lanes)[])(
    'of which one channel falls silent pauses both sides in time: %s',
    async (lane) => {
      const channels = lane === 'page' ? { channels: 2 } : {};
      await withPair({ ...options, ...channels, transport }, async (pair) => {
        const link = await open(pair);
        await pair.untilPostcopyActive(link.uri);
        await expectBeat(link, lanes[lane]);
        await blackHole(link, lanes[lane]);
        await expectBothInTime(pair, 'postcopy-paused', Date.now());
        expect(await errors(pair)).toMatch(/the link was silent for 2000 ms/);
        link.cut();
        await expectRecovery(pair);
      });
    },
  );

  test('that falls silent as a whole pauses both sides in time, each by itself', async () => {
    await withPair({ ...options, transport }, async (pair) => {
      const link = await open(pair);
      await pair.untilPostcopyActive(link.uri);
      link.silence();
      await expectBothInTime(pair, 'postcopy-paused', Date.now());
      for (const guest of [pair.source, pair.destination]) {
        expect(await guest.errorDescription()).toMatch(/silent for 2000 ms/);
      }
      link.cut();
      await expectRecovery(pair);
    });
  });

  test('that falls silent while the guest is at the source leaves it there', async () => {
    const parameters = { ...endless, ...beating };
    await withPair({ transport, parameters, channels: 2 }, async (pair) => {
      const link = await open(pair);
      await pair.migrate(link.uri);
      await pair.waitForBoth('active');
      link.silence();
      await expectSourceKeeps(pair, Date.now());
    });
  });

  test('that a source has given up is displaced where it still looks alive', async () => {
    await withPair({ ...options, transport }, async (pair) => {
      const { source, destination } = pair;
      const link = await pair.openLink();
      await destination.setParameters({ 'x-link-timeout': 600_000 });
      await pair.untilPostcopyActive(link.uri);
      link.silence();
      await source.waitForStatus('postcopy-paused');
      expect(destination.statuses.at(-1)).toBe('postcopy-active');
      const told = destination.statuses.length;
      await pair.resume();
      await pair.waitForBoth('postcopy-active');
      expect(destination.statuses.slice(told)).toEqual([
        'postcopy-paused',
        'postcopy-recover',
        'postcopy-active',
      ]);
      link.cut();
      await pair.untilCompleted();
      await expectOwner(pair, destination);
    });
  });

  test('with nothing to say stays, by the heartbeats of every channel', async () => {
    const slow = { ...options.parameters, 'max-postcopy-bandwidth': 1 };
    const idle = { ...options, parameters: slow, workload: 'idle', channels: 2 } as const;
    await withPair({ ...idle, transport }, async (pair) => {
      const link = await open(pair);
      await pair.untilPostcopyActive(link.uri);
      const beats = Math.ceil((TIMEOUT_MILLIS * 1.5) / INTERVAL_MILLIS);
      for (const lane of Object.values(lanes)) {
        await expectBeats(link, { ...lane, frame: 'HEARTBEAT' }, beats);
      }
      expect(pair.source.statuses.at(-1)).toBe('postcopy-active');
      expect(pair.destination.statuses.at(-1)).toBe('postcopy-active');
      await pair.untilCompleted();
      await expectOwner(pair, pair.destination);
    });
  });
});

async function expectBeats(link: LinkProxy, beat: FrameMatcher, beats: number): Promise<void> {
  for (let since = 0, seen = 0; seen < beats; seen += 1) {
    const frame = await link.seen(beat, { since });
    since = link.frames.entries.indexOf(frame, since) + 1;
  }
}

describe('an encrypted link', () => {
  const tcp = { transport: 'tcp', channels: 2 } as const;

  async function openSecure(pair: Pair): Promise<Relay> {
    await psk()(pair);
    await pair.destination.setParameters({ 'x-link-timeout': TIMEOUT_MILLIS });
    return await Relay.open(pair.uri);
  }

  test.each([
    ['to the destination', ['there']],
    ['to the source', ['back']],
    ['as a whole', ['there', 'back']],
  ] as const)('that falls silent pauses both sides in time: %s', async (_which, ways) => {
    await withPair({ ...options, ...tcp }, async (pair) => {
      await using link = await openSecure(pair);
      await pair.untilPostcopyActive(link.uri);
      link.silence(...ways);
      await expectBothInTime(pair, 'postcopy-paused', Date.now());
      expect(await errors(pair)).toMatch(/the link was silent for 2000 ms/);
      await expectRecovery(pair);
    });
  });

  test('that falls silent while the guest is at the source leaves it there', async () => {
    await withPair({ ...tcp, parameters: { ...endless, ...beating } }, async (pair) => {
      await using link = await openSecure(pair);
      await pair.migrate(link.uri);
      await pair.waitForBoth('active');
      link.silence('there', 'back');
      await expectSourceKeeps(pair, Date.now());
    });
  });

  test('with nothing to say stays', async () => {
    const slow = { ...options.parameters, 'max-postcopy-bandwidth': 1 };
    await withPair({ ...options, ...tcp, parameters: slow, workload: 'idle' }, async (pair) => {
      await using link = await openSecure(pair);
      await pair.untilPostcopyActive(link.uri);
      const past = Date.now() + TIMEOUT_MILLIS * 1.5;
      await new Promise<void>((resolve) => {
        link.onData = () => {
          if (Date.now() > past) resolve();
        };
      });
      expect(pair.source.statuses.at(-1)).toBe('postcopy-active');
      expect(pair.destination.statuses.at(-1)).toBe('postcopy-active');
      await pair.untilCompleted();
      await expectOwner(pair, pair.destination);
    });
  });
});

test('a link without heartbeats is nobody to judge', async () => {
  const off = { ...options.parameters, 'x-heartbeat-interval': 0 };
  await withPair({ ...options, parameters: off }, async (pair) => {
    const link = await open(pair);
    await pair.untilPostcopyActive(link.uri);
    await pair.untilCompleted();
    expect(link.count({ frame: 'HEARTBEAT' })).toBe(0);
    await expectOwner(pair, pair.destination);
  });
});

test('with x-auto-recover a link that fell silent is replaced without anybody asking', async () => {
  const soon = { ...options.parameters, 'x-recover-backoff': 50, 'x-recover-backoff-max': 100 };
  await withPair({ ...options, parameters: soon }, async (pair) => {
    await pair.source.setCapabilities({ 'x-auto-recover': true });
    const link = await open(pair);
    await pair.untilPostcopyActive(link.uri);
    await blackHole(link, lanes['main, to the source']);
    await pair.waitForBoth('postcopy-paused');
    await pair.waitForBoth('postcopy-active');
    await pair.untilCompleted();
    link.cut();
    await expectOwner(pair, pair.destination);
  });
});
