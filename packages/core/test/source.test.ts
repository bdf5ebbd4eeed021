import { type Address, type Channel, encodeControl, Listener } from '@godwit/transport';
import { writeSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { capabilityDefaults } from '../src/capabilities.ts';
import { SourceMigration } from '../src/migration/source.ts';
import { parameters, QuietGuest, readSome } from './hand-made-peer.ts';
import { bytesOf, realRam } from './real-ram.ts';

const anyPort: Address = { type: 'tcp', host: '127.0.0.1', port: 0 };

test('a guest that was stopped goes on when the link takes nothing any more', async () => {
  const ram = realRam([16_384]);
  const guest = new QuietGuest(ram, true);
  guest.onPause = () => void bytesOf(ram[0]).fill(7); // far more than a socket holds
  const listener = await Listener.open(anyPort, {
    timeoutMillis: 5000,
    admit: (hello) => ({
      session: { migrationId: hello.migrationId, secret: hello.proof },
      epoch: 0,
    }),
    onChannel: (channel: Channel) => {
      onTestFinished(() => channel.close());
      void startAndStall(channel);
    },
  });
  onTestFinished(async () => await listener.close());
  const source = new SourceMigration(guest, { capabilities: capabilityDefaults, parameters });
  const statuses: string[] = [];
  source.on('status', (status) => statuses.push(status));
  source.start(listener.address);
  await source.ended;
  expect(statuses).toEqual(['setup', 'active', 'device', 'failed']);
  expect(source.error?.message).toContain('nothing could be sent');
  expect(guest.running).toBe(true);
});

/** Adopts the migration, and reads no more. */
async function startAndStall(channel: Channel): Promise<void> {
  await readSome(channel);
  writeSync(channel.descriptor, encodeControl({ t: 'started' }));
}
