import { expect, onTestFinished, test, vi } from 'vitest';
import { capabilityDefaults } from '../src/capabilities.ts';
import { DestinationMigration } from '../src/migration/destination.ts';
import { SourceMigration } from '../src/migration/source.ts';
import { changeParameters } from '../src/parameters.ts';
import { parameters, QuietGuest } from './hand-made-peer.ts';
import { bytesOf, realRam } from './real-ram.ts';

const PAGES = 1024;

test('pages that get shorter are counted as what they are on the link when the guest is to be stopped', async () => {
  const guest = new QuietGuest(realRam([PAGES]), true);
  const destination = new DestinationMigration(new QuietGuest(realRam([PAGES]), false), {
    parameters: () => parameters,
    pageChannels: 2,
  });
  onTestFinished(async () => await destination.close());
  const address = await destination.listen({ type: 'tcp', host: '127.0.0.1', port: 0 });
  const source = new SourceMigration(guest, {
    capabilities: { ...capabilityDefaults, multifd: true },
    // Half a second of this link is 1 MB: of the guest's 4 MiB, all written in each pass, too little.
    parameters: changeParameters(parameters, {
      'multifd-channels': 2,
      'multifd-compression': 'zlib',
      'avail-switchover-bandwidth': 2_000_000,
      'downtime-limit': 500,
    }),
  });
  source.on('pass', (pass) => {
    if (guest.running) bytesOf(guest.ram[0]).fill(1 + (pass % 200)); // each page, before each pass
  });
  source.start(address);
  await vi.waitUntil(() => source.status === 'completed', { timeout: 30_000 });
  await source.ended;
  expect(source.info().ram?.['downtime-bytes']).toBeLessThan(1_000_000);
});
