import { describe, expect, test } from 'vitest';
import {
  ensureConverge,
  expectRunsAtSource,
  type MigrateOptions,
  migrateEnd,
  waitForSwitchover,
  withQemuPair,
} from '../../support/qemu-steps.ts';
import { precopyOfSource } from '../../support/sequences.ts';

/* QEMU tests/qtest/migration/misc-tests.c, and of file-tests.c what concerns no file. */

const UUID = '11111111-1111-1111-1111-111111111111';
const OTHER_UUID = '22222222-2222-2222-2222-222222222222';

test('/migration/bad_dest', () =>
  withQemuPair({}, async (pair) => {
    await pair.migrate('tcp:127.0.0.1:0'); // accepted: that nobody is there is found out later
    await pair.source.waitForStatus('failed');
    expect(await pair.source.errorDescription()).toMatch(/cannot connect/);
    await expectRunsAtSource(pair, ['setup', 'failed']);
  }));

describe('validate-uuid', () => {
  function uuids(source: string | undefined, destination: string | undefined): MigrateOptions {
    const of = (uuid: string | undefined): { extraArgs: string[] } => ({
      extraArgs: uuid === undefined ? [] : ['--uuid', uuid],
    });
    return { source: of(source), destination: of(destination) };
  }

  test.each([
    ['/migration/validate_uuid', UUID, UUID],
    ['/migration/validate_uuid_src_not_set', undefined, UUID],
    ['/migration/validate_uuid_dst_not_set', UUID, undefined],
  ])('%s', (_path, source, destination) =>
    withQemuPair(uuids(source, destination), async (pair) => {
      for (const guest of [pair.source, pair.destination]) {
        await guest.setCapabilities({ 'validate-uuid': true });
      }
      await ensureConverge(pair);
      await pair.migrate();
      await pair.waitForBoth('completed');
      await waitForSwitchover(pair);
      expect(pair.source.statuses).toEqual(precopyOfSource);
      await migrateEnd(pair);
    }),
  );

  /** QEMU's destination ends with 1; ours has let nothing in, and waits for the right guest. */
  test('/migration/validate_uuid_error', () =>
    withQemuPair(uuids(UUID, OTHER_UUID), async (pair) => {
      await pair.source.setCapabilities({ 'validate-uuid': true });
      await pair.migrate();
      await pair.source.waitForStatus('failed');
      const why = await pair.source.errorDescription();
      expect(why).toContain(UUID);
      expect(why).toContain(OTHER_UUID);
      expect(pair.destination.statuses).toEqual(['setup']);
      await expectRunsAtSource(pair, ['setup', 'failed']);
    }));
});

describe('a command that cannot be carried out is an error at once, and changes nothing', () => {
  const addr = { transport: 'socket', type: 'inet', host: '127.0.0.1', port: '0' };
  const channels = [{ 'channel-type': 'main', addr }];

  test.each([
    [
      '/migration/validate_uri/channels/both_set',
      { uri: 'tcp:127.0.0.1:0', channels },
      /need either 'uri' or 'channels' argument/,
    ],
    [
      '/migration/validate_uri/channels/none_set',
      { channels: [] },
      /need either 'uri' or 'channels' argument/,
    ],
    // Ours knows no file: at all, and says so; the malformed offset is never looked at.
    [
      '/migration/precopy/file/offset/bad',
      { uri: 'file:migfile,offset=0x20M' },
      /migration protocol 'file' is not supported/,
    ],
  ])('%s', (_path, args, reason) =>
    withQemuPair({}, async (pair) => {
      await expect(pair.source.execute('migrate', args)).rejects.toThrow(reason);
      await expectRunsAtSource(pair, []);
      expect(await pair.source.execute('query-migrate')).toEqual({});
    }),
  );
});
