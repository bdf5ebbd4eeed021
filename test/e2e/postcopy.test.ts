import { describe, expect, test } from 'vitest';
import { transports } from '../support/addresses.ts';
import type { Workload } from '../support/guest-options.ts';
import { expectOwner, withPair } from '../support/pair.ts';
import { endless, fast } from '../support/parameters.ts';
import { postcopyOfDestination, postcopyOfSource } from '../support/sequences.ts';

const workloads: readonly Workload[] = ['sweep', 'random', 'zipf', 'idle'];

const channels = [
  { preempt: true, name: 'with the urgent channel' },
  { preempt: false, name: 'without the urgent channel' },
];

describe.each(transports)('postcopy over %s', (transport) => {
  describe.each(channels)('$name', ({ preempt }) => {
    const options = { transport, preempt, postcopy: true, parameters: endless } as const;

    test('asked for at once, the guest leaves before its memory and all of it follows', async () => {
      await withPair({ ...options, workload: 'random' }, async (pair) => {
        await pair.migrateByPostcopy();
        await pair.waitForBoth('completed');
        expect(pair.source.statuses).toEqual(postcopyOfSource);
        expect(pair.destination.statuses).toEqual(postcopyOfDestination);
        await expectOwner(pair, pair.destination);
      });
    });

    test('asked for after two passes, what was written since is not taken for sent', async () => {
      await withPair({ ...options, workload: 'zipf' }, async (pair) => {
        await pair.migrate();
        await pair.source.waitForPass(3);
        await pair.startPostcopy();
        await pair.waitForBoth('completed');
        expect(pair.source.statuses).toEqual(postcopyOfSource);
        expect(pair.destination.statuses).toEqual(postcopyOfDestination);
        await expectOwner(pair, pair.destination);
      });
    });

    test('the connections are those that were agreed on', async () => {
      await withPair({ ...options }, async (pair) => {
        const link = await pair.openLink();
        await pair.migrateByPostcopy(link.uri);
        await pair.waitForBoth('completed');
        const hellos = link.frames.entries.filter((frame) => frame.name === 'hello');
        const roles = hellos.map((frame) => frame.connection.role);
        expect(roles).toEqual(preempt ? ['main', 'urgent'] : ['main']);
        await expectOwner(pair, pair.destination);
      });
    });
  });
});

test.each(workloads)('a %s guest survives postcopy', async (workload) => {
  const options = { workload, vcpus: 2, postcopy: true, parameters: fast };
  await withPair(options, async (pair) => {
    await pair.migrateByPostcopy();
    await pair.waitForBoth('completed');
    await expectOwner(pair, pair.destination);
  });
});

test('a guest whose memory is a memfd survives postcopy', async () => {
  const options = { workload: 'random', backing: 'memfd', postcopy: true } as const;
  await withPair({ ...options, parameters: endless }, async (pair) => {
    await pair.migrateByPostcopy();
    await pair.waitForBoth('completed');
    await expectOwner(pair, pair.destination);
  });
});

test('a guest that waits for a page gets it while the bulk crawls', async () => {
  const crawl = { ...endless, 'max-postcopy-bandwidth': 4096 };
  const options = { workload: 'random', postcopy: true, parameters: crawl } as const;
  await withPair(options, async (pair) => {
    await pair.untilPostcopyActive();
    interface Faults {
      'x-faults': { served: number };
    }
    await pair.source.setParameters({ 'max-postcopy-bandwidth': 0 });
    await pair.waitForBoth('completed');
    const { 'x-faults': faults } = await pair.destination.execute<Faults>('query-migrate');
    expect(faults.served).toBeGreaterThan(0);
    await expectOwner(pair, pair.destination);
  });
});

test('if precopy ends first, the wish for postcopy changes nothing', async () => {
  const options = { workload: 'idle', postcopy: true, parameters: fast } as const;
  await withPair(options, async (pair) => {
    await pair.migrate();
    await pair.waitForBoth('completed');
    await pair.startPostcopy().catch(() => undefined); // over: refused or without effect
    expect(pair.source.statuses).not.toContain('postcopy-active');
    await expectOwner(pair, pair.destination);
  });
});
