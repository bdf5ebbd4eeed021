import { describe, expect, test } from 'vitest';
import { transports } from '../support/addresses.ts';
import { expectOwner, withPair } from '../support/pair.ts';
import { CALM_RATE, converging, crawling, endless, fast } from '../support/parameters.ts';
import {
  postcopyOfDestination,
  postcopyOfSource,
  precopyOfDestination,
  precopyOfSource,
} from '../support/sequences.ts';

describe.each(transports)('page channels over %s', (transport) => {
  test.each([1, 4])('a guest arrives whole by %i of them', async (channels) => {
    const options = { transport, channels, workload: 'zipf', parameters: fast } as const;
    await withPair(options, async (pair) => {
      await pair.migrate();
      await pair.waitForBoth('completed');
      expect(pair.source.statuses).toEqual(precopyOfSource);
      expect(pair.destination.statuses).toEqual(precopyOfDestination);
      await expectOwner(pair, pair.destination);
    });
  });

  test('no page of an earlier pass overtakes the same page of a later one', async () => {
    const options = { transport, channels: 4, workload: 'zipf', parameters: endless } as const;
    await withPair(options, async (pair) => {
      await pair.migrate();
      await pair.source.waitForPass(8);
      await pair.source.setParameters(converging);
      await pair.waitForBoth('completed');
      await expectOwner(pair, pair.destination);
    });
  });

  test.each([1, 6])(
    'the source decides that there are %i, whatever was expected',
    async (count) => {
      await withPair({ transport, channels: 4, parameters: fast }, async (pair) => {
        await pair.source.setParameters({ 'multifd-channels': count });
        const link = await pair.openLink();
        await pair.migrate(link.uri);
        await pair.waitForBoth('completed');
        const hellos = link.frames.entries.filter((frame) => frame.name === 'hello');
        expect(hellos).toHaveLength(1 + count);
        await expectOwner(pair, pair.destination);
      });
    },
  );

  test('main carries no page, and the channels are those that were agreed on', async () => {
    await withPair({ transport, channels: 3, parameters: fast }, async (pair) => {
      const link = await pair.openLink();
      await pair.migrate(link.uri);
      await pair.waitForBoth('completed');
      const { entries } = link.frames;
      const hellos = entries.filter((frame) => frame.name === 'hello');
      const roles = hellos.map((frame) => frame.connection.role);
      expect(roles).toEqual(['main', 'page', 'page', 'page']);
      const pages = entries.filter((frame) => ['PAGES', 'ZERO'].includes(frame.name));
      const carriers = new Set(pages.map((frame) => frame.connection.role));
      expect([...carriers]).toEqual(['page']);
      await expectOwner(pair, pair.destination);
    });
  });

  describe.each([true, false])('in postcopy, urgent channel: %s', (preempt) => {
    const options = { transport, preempt, channels: 3, postcopy: true } as const;

    test('what was written since two passes is not taken for sent', async () => {
      const parameters = endless;
      await withPair({ ...options, workload: 'zipf', parameters }, async (pair) => {
        await pair.migrate();
        await pair.source.waitForPass(3);
        await pair.startPostcopy();
        await pair.waitForBoth('completed');
        expect(pair.source.statuses).toEqual(postcopyOfSource);
        expect(pair.destination.statuses).toEqual(postcopyOfDestination);
        await expectOwner(pair, pair.destination);
      });
    });

    test('a lost link is recovered with all its channels', async () => {
      const parameters = crawling;
      const calm = { workload: 'random', rate: CALM_RATE, parameters } as const;
      await withPair({ ...options, ...calm }, async (pair) => {
        await pair.untilPostcopyActive();
        await pair.source.executeOob('migrate-pause');
        await pair.waitForBoth('postcopy-paused');
        const link = await pair.openLink();
        await pair.resume(link.uri);
        await pair.untilCompleted();
        const hellos = link.frames.entries.filter((frame) => frame.name === 'hello');
        const roles = hellos.map((frame) => frame.connection.role);
        const further = ['page', 'page', 'page', ...(preempt ? ['urgent'] : [])];
        expect(roles[0]).toBe('main');
        expect(new Set(roles.slice(1))).toEqual(new Set(further)); // the urgent one may be first
        expect(roles).toHaveLength(further.length + 1);
        await expectOwner(pair, pair.destination);
      });
    });
  });
});
