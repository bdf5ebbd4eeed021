import { describe, expect, test } from 'vitest';
import type { LinkProxy } from '../support/link-proxy.ts';
import { expectOwner, withPair } from '../support/pair.ts';
import { converging, endless, fast } from '../support/parameters.ts';
import { precopyOfDestination, precopyOfSource } from '../support/sequences.ts';
import type { SeenFrame } from '../support/wire-reader.ts';

const zlib = { 'multifd-compression': 'zlib' };
/** One byte of each page is not zero, as in QEMU's own tests: what it has touched can be compressed. */
const compressible = { workload: 'sweep', fill: 0 } as const;

interface Ram {
  readonly transferred: number;
  readonly 'normal-bytes': number;
}

function compressed(link: LinkProxy): SeenFrame[] {
  return link.frames.entries.filter(({ name }) => name === 'ZLIB_PAGES');
}

test('/migration/multifd/tcp/plain/zlib', async () => {
  const options = { transport: 'tcp', channels: 16, ...compressible } as const;
  await withPair({ ...options, parameters: endless }, async (pair) => {
    await pair.source.setParameters({ ...zlib, 'multifd-zlib-level': 2 });
    expect(await pair.source.execute('query-migrate-parameters')).toMatchObject({
      'multifd-compression': 'zlib',
      'multifd-zlib-level': 2,
      'multifd-channels': 16,
    });
    const link = await pair.openLink();
    await pair.migrate(link.uri);
    await pair.source.waitForPass(3);
    await pair.source.setParameters(converging);
    await pair.waitForBoth('completed');
    expect(pair.source.statuses).toEqual(precopyOfSource);
    expect(pair.destination.statuses).toEqual(precopyOfDestination);
    const frames = compressed(link);
    expect(new Set(frames.map(({ connection }) => connection.role))).toEqual(new Set(['page']));
    const { ram } = await pair.source.execute<{ ram: Ram }>('query-migrate');
    expect(ram.transferred).toBeLessThan(ram['normal-bytes'] / 20);
    await expectOwner(pair, pair.destination);
  });
});

test('what cannot be compressed leaves as it is: no more bytes than without', async () => {
  const parameters = { ...fast, ...zlib };
  await withPair({ channels: 2, workload: 'zipf', parameters }, async (pair) => {
    await pair.migrate();
    await pair.waitForBoth('completed');
    const { ram } = await pair.source.execute<{ ram: Ram }>('query-migrate');
    expect(ram.transferred).toBeLessThan(ram['normal-bytes'] * 1.01);
    await expectOwner(pair, pair.destination);
  });
});

test('asked for in a running migration, compression is for the next one', async () => {
  const options = { channels: 2, ...compressible, parameters: endless } as const;
  await withPair(options, async (pair) => {
    const first = await pair.openLink();
    await pair.migrate(first.uri);
    await pair.source.waitForPass(2);
    await pair.source.setParameters(zlib);
    await pair.source.waitForPass(5);
    await pair.source.execute('migrate_cancel');
    await pair.source.waitForStatus('cancelled');
    await pair.expectFailed(pair.destination);
    expect(compressed(first)).toEqual([]);
    await pair.startDestination('second');
    const second = await pair.openLink();
    await pair.migrate(second.uri);
    await pair.source.setParameters(converging);
    await pair.waitForBoth('completed');
    expect(compressed(second)).not.toEqual([]);
    await expectOwner(pair, pair.destination);
  });
});

test('without page channels nothing is compressed, and nobody minds', async () => {
  const options = { ...compressible, parameters: { ...fast, ...zlib } };
  await withPair(options, async (pair) => {
    const link = await pair.openLink();
    await pair.migrate(link.uri);
    await pair.waitForBoth('completed');
    expect(compressed(link)).toEqual([]);
    await expectOwner(pair, pair.destination);
  });
});

describe.each([true, false])('in postcopy, urgent channel: %s', (preempt) => {
  test('a link lost within a compressed frame is recovered, and requested pages stay raw', async () => {
    const options = { transport: 'tcp', preempt, channels: 4, postcopy: true } as const;
    const parameters = { ...endless, ...zlib };
    await withPair({ ...options, ...compressible, parameters }, async (pair) => {
      const first = await pair.openLink();
      let isRunningThere = false;
      const cut = first.cutWhen({
        frame: ({ name }) => {
          isRunningThere ||= name === 'running';
          return isRunningThere && name === 'ZLIB_PAGES';
        },
        at: 'middle',
      });
      await pair.migrateByPostcopy(first.uri);
      await cut;
      await pair.waitForBoth('postcopy-paused');
      const second = await pair.openLink();
      await pair.resume(second.uri);
      await pair.waitForBoth('completed');
      expect(compressed(second)).not.toEqual([]);
      for (const link of [first, second]) {
        const roles = new Set(compressed(link).map(({ connection }) => connection.role));
        expect(roles).toEqual(new Set(['page']));
      }
      await expectOwner(pair, pair.destination);
    });
  });
});
