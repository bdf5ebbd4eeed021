import { expect, test } from 'vitest';
import { ensureConverge, migrateEnd, withQemuPair } from '../../support/qemu-steps.ts';

/* QEMU's return path says SHUT 0 at the end; whether its source waits for it no test of QEMU's asks. */

test.each(['precopy', 'postcopy'])(
  'the source of a %s says completed only when the destination has proved that it has all',
  (mode) =>
    withQemuPair({ postcopy: mode === 'postcopy' }, async (pair) => {
      const { source, destination } = pair;
      const link = await pair.openLink();
      const proof = link.hold({ frame: 'complete' });
      if (mode === 'precopy') {
        await ensureConverge(pair);
        await pair.migrate(link.uri);
      } else await pair.migrateByPostcopy(link.uri);
      await proof.reached;
      await destination.waitForStatus('completed');
      expect(source.statuses).not.toContain('completed');
      proof.release();
      await source.waitForStatus('completed');
      await migrateEnd(pair);
    }),
);
