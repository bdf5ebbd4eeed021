import { expect, test } from 'vitest';
import type { Pair } from '../../support/pair.ts';
import {
  ensureConverge,
  expectRunsAtSource,
  type MigrateOptions,
  migrateEnd,
  waitForGuest,
  waitForSwitchover,
} from '../../support/qemu-steps.ts';
import { precopyOfSource } from '../../support/sequences.ts';
import { psk, withSecurePair, x509 } from '../../support/tls-steps.ts';

/*
 * QEMU tests/qtest/migration/tls-tests.c; those of postcopy are beside the plain ones. Where a source
 * leaves after the handshake, or is refused, QEMU's destination sometimes ends; ours goes on listening.
 */

const CHANNELS = 4;

async function expectCompletes(
  prepare: (pair: Pair) => Promise<void>,
  options: MigrateOptions = {},
): Promise<void> {
  await withSecurePair(prepare, options, async (pair) => {
    await waitForGuest(pair.source);
    await pair.migrate();
    await pair.source.waitForPass(2);
    await ensureConverge(pair);
    await pair.source.waitForStatus('completed');
    await waitForSwitchover(pair);
    expect(pair.source.statuses).toEqual(precopyOfSource);
    await waitForGuest(pair.destination);
    await migrateEnd(pair);
  });
}

/** The guest goes on at the source, the reason is told, and the destination waits for the right one. */
async function expectFails(
  prepare: (pair: Pair) => Promise<void>,
  why: { readonly source: RegExp; readonly destination?: RegExp },
  options: MigrateOptions = {},
): Promise<void> {
  await withSecurePair(prepare, options, async (pair) => {
    const { source, destination } = pair;
    await waitForGuest(source);
    await pair.migrate();
    await source.waitForStatus('failed');
    expect(await source.errorDescription()).toMatch(why.source);
    if (why.destination !== undefined) {
      expect(await destination.errorDescription()).toMatch(why.destination);
    }
    expect(destination.statuses).toEqual(['setup']);
    expect(destination.exit).toBeUndefined();
    await expectRunsAtSource(pair, ['setup', 'failed']);
  });
}

const otherHost = { source: /not for this host/ };
const wrongKey = { source: /another key/, destination: /another key/ };
const noCertificate = {
  source: /asks for a certificate, and this side has none/,
  destination: /the other side has no certificate/,
};

test('/migration/precopy/unix/tls/psk', () => expectCompletes(psk(), { transport: 'unix' }));
test('/migration/precopy/tcp/tls/psk/match', () => expectCompletes(psk()));
test('/migration/precopy/tcp/tls/psk/mismatch', () => expectFails(psk('mismatch'), wrongKey));

test('/migration/precopy/unix/tls/x509/default-host', () =>
  expectFails(x509(), { source: /No hostname for certificate validation/ }, { transport: 'unix' }));
test('/migration/precopy/unix/tls/x509/override-host', () =>
  expectCompletes(x509({ serverNames: 'qemu.org', overrideHost: 'qemu.org' }), {
    transport: 'unix',
  }));
test('/migration/precopy/tcp/tls/x509/default-host', () => expectCompletes(x509()));
test('/migration/precopy/tcp/tls/x509/override-host', () =>
  expectCompletes(x509({ serverNames: 'qemu.org', overrideHost: 'qemu.org' })));
test('/migration/precopy/tcp/tls/x509/mismatch-host', () =>
  expectFails(x509({ serverNames: 'qemu.org' }), otherHost));
test('/migration/precopy/tcp/tls/x509/friendly-client', () =>
  expectCompletes(x509({ authz: 'friendly' })));
test('/migration/precopy/tcp/tls/x509/hostile-client', () =>
  expectFails(x509({ client: 'hostile' }), {
    source: /does not accept who this side is/,
    destination: /authority that is not known here/,
  }));
test('/migration/precopy/tcp/tls/x509/allow-anon-client', () =>
  expectCompletes(x509({ client: 'none', allowAnonymous: true })));
test('/migration/precopy/tcp/tls/x509/reject-anon-client', () =>
  expectFails(x509({ client: 'none' }), noCertificate));

const channels = { channels: CHANNELS } as const;

test('/migration/multifd/tcp/tls/psk/match', () => expectCompletes(psk(), channels));
test('/migration/multifd/tcp/tls/psk/mismatch', () =>
  expectFails(psk('mismatch'), wrongKey, channels));
test('/migration/multifd/tcp/tls/x509/default-host', () => expectCompletes(x509(), channels));
test('/migration/multifd/tcp/tls/x509/override-host', () =>
  expectCompletes(x509({ serverNames: 'qemu.org', overrideHost: 'qemu.org' }), channels));
test('/migration/multifd/tcp/tls/x509/mismatch-host', () =>
  expectFails(x509({ serverNames: 'qemu.org' }), otherHost, channels));
test('/migration/multifd/tcp/tls/x509/allow-anon-client', () =>
  expectCompletes(x509({ client: 'none', allowAnonymous: true }), channels));
test('/migration/multifd/tcp/tls/x509/reject-anon-client', () =>
  expectFails(x509({ client: 'none' }), noCertificate, channels));
