import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { connectOptions, transports } from '../support/addresses.ts';
import { helloBytes } from '../support/bad-listeners.ts';
import { expectOwner, withPair } from '../support/pair.ts';
import { CALM_RATE, converging, crawling, endless } from '../support/parameters.ts';
import { within } from '../support/wait.ts';

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
});
