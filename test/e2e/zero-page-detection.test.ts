import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { LinkProxy } from '../support/link-proxy.ts';
import { memoryMode } from '../support/guest-options.ts';
import { expectOwner, withPair } from '../support/pair.ts';
import { converging, endless, fast } from '../support/parameters.ts';
import { precopyOfDestination, precopyOfSource } from '../support/sequences.ts';
import type { FrameName } from '../support/wire-reader.ts';

const THP = '/sys/kernel/mm/transparent_hugepage/enabled';

interface Ram {
  readonly normal: number;
  readonly duplicate: number;
}

/** Which channels carry frames of this name. */
function carriers(link: LinkProxy, name: FrameName): Set<string | undefined> {
  const frames = link.frames.entries.filter((frame) => frame.name === name);
  return new Set(frames.map(({ connection }) => connection.role));
}

describe.each(['legacy', 'none'])('/migration/multifd/tcp/plain/zero-page/%s', (mode) => {
  test('a guest of which half is zero arrives whole', async () => {
    const guest = { workload: 'zipf', fill: 0.5, rate: 1000 } as const;
    const parameters = { ...fast, 'zero-page-detection': mode };
    await withPair({ transport: 'tcp', channels: 4, ...guest, parameters }, async (pair) => {
      expect(await pair.source.execute('query-migrate-parameters')).toMatchObject({
        'zero-page-detection': mode,
      });
      const link = await pair.openLink();
      await pair.migrate(link.uri);
      await pair.waitForBoth('completed');
      expect(pair.source.statuses).toEqual(precopyOfSource);
      expect(pair.destination.statuses).toEqual(precopyOfDestination);
      expect(carriers(link, 'PAGES')).toEqual(new Set(['page']));
      // Where nobody looks only pages that do not exist are told as zeros, if there are any.
      const zeros = carriers(link, 'ZERO');
      if (mode === 'legacy') expect(zeros).toEqual(new Set(['main']));
      else expect(zeros).not.toContain('main');
      await expectOwner(pair, pair.destination);
    });
  });
});

test('with legacy no page of an earlier pass overtakes the same page of a later one', async () => {
  // Byte 0 counts up: every page is zero again once in 256 rounds.
  const guest = { workload: 'sweep', fill: 0, rate: 0 } as const;
  const parameters = { ...endless, 'zero-page-detection': 'legacy' };
  await withPair({ channels: 4, ...guest, parameters }, async (pair) => {
    await pair.migrate();
    await pair.source.waitForPass(12);
    await pair.source.setParameters(converging);
    await pair.waitForBoth('completed');
    await expectOwner(pair, pair.destination);
  });
});

describe.each([true, false])('legacy in postcopy, urgent channel: %s', (preempt) => {
  test('the main channel tells of zeros before the others bring the rest', async () => {
    const options = {
      channels: 3,
      preempt,
      postcopy: true,
      workload: 'random',
      fill: 0.5,
    } as const;
    const parameters = { ...endless, 'zero-page-detection': 'legacy' };
    await withPair({ ...options, parameters }, async (pair) => {
      await pair.migrateByPostcopy();
      await pair.waitForBoth('completed');
      await expectOwner(pair, pair.destination);
    });
  });
});

/**
 * The guest touches a page here and there, and the kernel makes 512 of each. Not with portable memory: there
 * a page exists when the guest has stored to it, whatever the kernel has brought beside it.
 */
const hasHugePages =
  memoryMode === 'userfault' && existsSync(THP) && !readFileSync(THP, 'utf8').includes('[never]');

test.runIf(hasHugePages)('pages that exist and are zero are told as such, or not', async () => {
  const normal: Record<string, number> = {};
  for (const mode of ['multifd', 'none']) {
    const options = { channels: 2, workload: 'sweep', fill: 0, rate: 100 } as const;
    const parameters = { ...fast, 'zero-page-detection': mode };
    await withPair({ ...options, parameters }, async (pair) => {
      await pair.migrate();
      await pair.waitForBoth('completed');
      const { ram } = await pair.source.execute<{ ram: Ram }>('query-migrate');
      normal[mode] = ram.normal;
      await expectOwner(pair, pair.destination);
    });
  }
  expect(normal['none']).toBeGreaterThanOrEqual(512);
  expect(normal['multifd']).toBeLessThan(512);
});
