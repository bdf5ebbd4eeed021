import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, expect, test, vi } from 'vitest';
import { connectOptions, transports } from '../support/addresses.ts';
import { Flood, IdleCrowd } from '../support/flood.ts';
import { helloBytes } from '../support/bad-listeners.ts';
import { expectOwner, withPair } from '../support/pair.ts';
import { CALM_RATE, converging, crawling, endless } from '../support/parameters.ts';
import { LIMIT_MILLIS, within } from '../support/wait.ts';

const MAIN = 1;
const URGENT = 2;

/** Those who dial where a destination listens and are not its source; each says something else. */
const words: Readonly<Record<string, () => Buffer>> = {
  nothing: () => Buffer.alloc(0),
  'a web request': () => Buffer.from('GET / HTTP/1.1\r\nHost: guest\r\n\r\n'.padEnd(96)),
  'random bytes': () => randomBytes(96),
  'far too much': () => randomBytes(1024 * 1024),
  'half a hello': () => helloBytes(MAIN, 1).subarray(0, 50),
  'a recovery without the secret': () => helloBytes(MAIN, 1),
  'an urgent channel without the secret': () => helloBytes(URGENT, 0),
};

/** All of them, and whatever comes back is read. */
class Strangers implements Disposable {
  readonly #sockets: Socket[] = [];

  async dial(uri: string): Promise<void> {
    for (const say of Object.values(words)) {
      const socket = connect(connectOptions(uri));
      this.#sockets.push(socket);
      socket.on('error', () => undefined); // to be thrown out is what they expect
      await within(once(socket, 'connect'), 'the connection of a stranger');
      socket.resume();
      socket.write(say());
    }
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

describe.each(transports)('strangers over %s', (transport) => {
  test('do not keep the source out, however many they are', async () => {
    await withPair({ transport, parameters: endless }, async (pair) => {
      using strangers = new Strangers();
      for (let i = 0; i < 12; i += 1) await strangers.dial(pair.uri);
      expect(pair.destination.statuses).toEqual(['setup']);
      await pair.source.setParameters(converging);
      await pair.migrate();
      await pair.waitForBoth('completed');
      await expectOwner(pair, pair.destination);
    });
  });

  test('do not disturb a migration, its pause or its recovery', async () => {
    const options = { postcopy: true, rate: CALM_RATE, parameters: crawling } as const;
    await withPair({ ...options, transport }, async (pair) => {
      using strangers = new Strangers();
      await pair.migrate();
      await pair.waitForBoth('active');
      await strangers.dial(pair.uri);
      await pair.startPostcopy();
      await pair.waitForBoth('postcopy-active');
      await strangers.dial(pair.uri);
      await pair.source.executeOob('migrate-pause');
      await pair.waitForBoth('postcopy-paused');
      await strangers.dial(pair.uri);
      expect(pair.destination.statuses.at(-1)).toBe('postcopy-paused');
      await pair.resume();
      await pair.waitForBoth('postcopy-active');
      await strangers.dial(pair.uri);
      await pair.untilCompleted();
      const recovery = ['postcopy-paused', 'postcopy-recover', 'postcopy-active'];
      expect(pair.destination.statuses).toEqual([
        'setup',
        'active',
        'postcopy-active',
        ...recovery,
        'completed',
      ]);
      await expectOwner(pair, pair.destination);
    });
  });

  test('a crowd of 1 000 that says nothing does not delay a recovery by a heartbeat', async () => {
    await expectRecoveryInTime(transport, async (uri) => {
      const crowd = await IdleCrowd.dial(uri, 1000);
      return { leave: async () => crowd[Symbol.dispose]() };
    });
  });

  test('a flood of connections does not delay a recovery by a heartbeat', async () => {
    await expectRecoveryInTime(transport, async (uri) => {
      const flood = new Flood(uri);
      const isOn = (): boolean => flood.connections > 500;
      await vi.waitUntil(isOn, { timeout: LIMIT_MILLIS, interval: 20 });
      return {
        leave: async () => {
          await flood[Symbol.asyncDispose]();
          expect(flood.connections).toBeGreaterThan(500);
        },
      };
    });
  });
});

/** What a recovery takes at most without strangers on a busy machine, and a heartbeat. */
const RECOVERY_MILLIS_MAX = 1000 + 1000;

/** The session's own peer gets in, and all of its channels, while the others are there. */
async function expectRecoveryInTime(
  transport: (typeof transports)[number],
  come: (uri: string) => Promise<{ leave: () => Promise<void> }>,
): Promise<void> {
  const options = { postcopy: true, rate: CALM_RATE, parameters: crawling, channels: 2 } as const;
  await withPair({ ...options, transport }, async (pair) => {
    const { source, destination } = pair;
    await pair.untilPostcopyActive();
    await source.executeOob('migrate-pause');
    await pair.waitForBoth('postcopy-paused');
    const strangers = await come(pair.uri);
    const told = source.statuses.length;
    await pair.resume();
    await pair.waitForBoth('postcopy-active');
    const steps = ['postcopy-recover-setup', 'postcopy-recover', 'postcopy-active'];
    expect(source.statuses.slice(told)).toEqual(steps); // at the first attempt
    const at = (status: string): number =>
      source.events.entries.findLast((event) => event.status === status)?.micros ?? 0;
    const millis = (at('postcopy-active') - at('postcopy-recover-setup')) / 1000;
    expect(millis).toBeLessThan(RECOVERY_MILLIS_MAX);
    await strangers.leave();
    await pair.untilCompleted();
    await expectOwner(pair, destination);
  });
}
