import { describe, expect, test } from 'vitest';
import { refusedAddress, transports } from '../support/addresses.ts';
import { silentListener, strangerListener } from '../support/bad-listeners.ts';
import { expectOwner, expectRunning, withPair } from '../support/pair.ts';
import { converging, endless, fast } from '../support/parameters.ts';

const UUID_A = '11111111-2222-4333-8444-555555555555';
const UUID_B = '99999999-2222-4333-8444-555555555555';

function uuid(value: string): { extraArgs: readonly string[] } {
  return { extraArgs: ['--uuid', value] };
}

describe.each(transports)('over %s', (transport) => {
  test('where nobody listens the migration fails and the guest runs on', async () => {
    await withPair({ transport, parameters: fast }, async (pair) => {
      await pair.migrate(await refusedAddress(transport, pair.directory.path));
      await pair.source.waitForStatus('failed');
      expect(pair.source.statuses).toEqual(['setup', 'failed']);
      expect(await pair.source.errorDescription()).toMatch(/cannot connect/);
      await expectRunning(pair, pair.source);
      await pair.migrate();
      await pair.waitForBoth('completed');
      await expectOwner(pair, pair.destination);
    });
  });

  test('where somebody listens and never speaks the migration fails in time', async () => {
    await withPair({ transport, handshakeMillis: 300 }, async (pair) => {
      await using silent = await silentListener(transport, pair.directory.path);
      await pair.migrate(silent.uri);
      await pair.source.waitForStatus('failed', 5000);
      expect(await pair.source.errorDescription()).toMatch(/300 ms/);
      await expectOwner(pair, pair.source);
    });
  });

  test('a destination that cannot prove the session gets no guest', async () => {
    await withPair({ transport }, async (pair) => {
      await using stranger = await strangerListener(transport, pair.directory.path);
      await pair.migrate(stranger.uri);
      await pair.source.waitForStatus('failed', 5000);
      expect(await pair.source.errorDescription()).toMatch(/cannot prove/);
      await expectOwner(pair, pair.source);
    });
  });
});

test('validate-uuid keeps a guest from another UUID, and says both', async () => {
  const options = { source: uuid(UUID_A), destination: uuid(UUID_B), parameters: fast };
  await withPair(options, async (pair) => {
    await pair.source.setCapabilities({ 'validate-uuid': true });
    await pair.migrate();
    await pair.source.waitForStatus('failed');
    expect(pair.source.statuses).toEqual(['setup', 'failed']);
    const why = await pair.source.errorDescription();
    expect(why).toContain(UUID_A);
    expect(why).toContain(UUID_B);
    await expectRunning(pair, pair.source);
    // Nothing had begun: the destination waits for somebody else.
    await pair.source.setCapabilities({ 'validate-uuid': false });
    await pair.migrate();
    await pair.waitForBoth('completed');
    await expectOwner(pair, pair.destination);
  });
});

test('memory of another size is refused by name', async () => {
  await withPair({ destination: { memory: '48M' } }, async (pair) => {
    await pair.migrate();
    await pair.source.waitForStatus('failed');
    expect(await pair.source.errorDescription()).toMatch(/RAM differs/);
    await expectOwner(pair, pair.source);
  });
});

test('one migration at a time: a second one is refused and the first goes on', async () => {
  const parameters = endless;
  await withPair({ workload: 'random', parameters }, async (pair) => {
    await pair.migrate();
    await pair.source.waitForPass(2);
    await expect(pair.migrate()).rejects.toThrow(/migration process in progress/);
    await pair.source.setParameters(converging);
    await pair.waitForBoth('completed');
    await expectOwner(pair, pair.destination);
  });
});

test('a second source finds the destination busy and keeps its guest', async () => {
  const parameters = endless;
  await withPair({ workload: 'random', parameters }, async (pair) => {
    await pair.migrate();
    await pair.source.waitForPass(2);
    const intruder = await pair.startBystander('intruder');
    await intruder.execute('migrate', { uri: pair.uri });
    await intruder.waitForStatus('failed');
    expect(await intruder.errorDescription()).toMatch(/busy/);
    expect((await intruder.runStatus()).running).toBe(true);
    await pair.source.setParameters(converging);
    await pair.waitForBoth('completed');
    await expectOwner(pair, pair.destination);
  });
});
