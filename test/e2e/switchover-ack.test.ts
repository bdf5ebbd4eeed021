import { describe, expect, test } from 'vitest';
import { expectOwner, type Pair, withPair } from '../support/pair.ts';
import { fast } from '../support/parameters.ts';
import { postcopyOfSource, precopyOfSource } from '../support/sequences.ts';

const acknowledged = { 'switchover-ack': true };

async function agree(pair: Pair): Promise<void> {
  await pair.source.setCapabilities(acknowledged);
  await pair.destination.setCapabilities(acknowledged);
}

test('/migration/precopy/tcp/plain/switchover-ack', async () => {
  await withPair({ transport: 'tcp', parameters: fast }, async (pair) => {
    await agree(pair);
    const link = await pair.openLink();
    await pair.migrate(link.uri);
    await pair.waitForBoth('completed');
    expect(link.count({ frame: 'switchover-ack' })).toBe(1);
    expect(pair.source.statuses).toEqual(precopyOfSource);
    await expectOwner(pair, pair.destination);
  });
});

test('without the capability nobody gives the word', async () => {
  await withPair({ parameters: fast }, async (pair) => {
    const link = await pair.openLink();
    await pair.migrate(link.uri);
    await pair.waitForBoth('completed');
    expect(link.count({ frame: 'switchover-ack' })).toBe(0);
    await expectOwner(pair, pair.destination);
  });
});

describe.each([
  { postcopy: false, endings: [precopyOfSource] },
  // As in QEMU precopy may end first: where the word comes while it looks at what is left.
  { postcopy: true, endings: [postcopyOfSource, precopyOfSource] },
])('postcopy: $postcopy', ({ postcopy, endings }) => {
  test('no STOP before the word of the destination, however small the rest', async () => {
    await withPair({ postcopy, rate: 100, parameters: fast }, async (pair) => {
      await agree(pair);
      const link = await pair.openLink();
      const held = link.hold({ frame: 'switchover-ack' });
      await (postcopy ? pair.migrateByPostcopy(link.uri) : pair.migrate(link.uri));
      await held.reached;
      await pair.source.waitForPass(6);
      expect(pair.source.statuses).toEqual(['setup', 'active']);
      expect(pair.source.events.entries.map(({ name }) => name)).not.toContain('STOP');
      expect((await pair.source.runStatus()).running).toBe(true);
      held.release();
      await pair.waitForBoth('completed');
      expect(endings).toContainEqual(pair.source.statuses);
      await expectOwner(pair, pair.destination);
    });
  });
});

test('a cancel does not wait for the word', async () => {
  await withPair({ rate: 100, parameters: fast }, async (pair) => {
    await agree(pair);
    const link = await pair.openLink();
    const held = link.hold({ frame: 'switchover-ack' });
    await pair.migrate(link.uri);
    await held.reached;
    await pair.source.waitForPass(3);
    await pair.source.execute('migrate_cancel');
    await pair.source.waitForStatus('cancelled');
    held.release();
    await pair.expectFailed(pair.destination);
    await expectOwner(pair, pair.source);
  });
});

test('a guest that stands still anyway is not kept waiting', async () => {
  await withPair({ parameters: fast }, async (pair) => {
    await agree(pair);
    await pair.source.execute('stop');
    const link = await pair.openLink();
    const held = link.hold({ frame: 'switchover-ack' });
    await pair.migrate(link.uri);
    await held.reached;
    await pair.source.waitForStatus('device');
    held.release();
    await pair.waitForBoth('completed');
    await expectOwner(pair, pair.destination, { paused: true });
  });
});
