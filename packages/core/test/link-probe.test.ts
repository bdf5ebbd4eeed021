import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { type Address, type Channel, dial, newSession } from '@godwit/transport';
import { expect, onTestFinished, test, vi } from 'vitest';
import { DestinationMigration } from '../src/migration/destination.ts';
import { probeLink } from '../src/probe/link-probe.ts';
import { HandMadeSource, parameters, QuietGuest } from './hand-made-peer.ts';
import { realRam } from './real-ram.ts';

const anyPort: Address = { type: 'tcp', host: '127.0.0.1', port: 0 };
const options = { millis: 60, timeoutMillis: 5_000 };

async function listening() {
  const ram = realRam([32]);
  const guest = new QuietGuest(ram, false);
  const destination = new DestinationMigration(guest, { parameters: () => parameters });
  onTestFinished(async () => await destination.close());
  const address = await destination.listen(anyPort);
  return { ram, destination, address };
}

/** A probe that has got in and says nothing. */
async function quietProbe(address: Address): Promise<Channel> {
  const opening = { session: newSession(), newSession: true, role: 'probe', epoch: 0 } as const;
  const channel = await dial(address, { ...opening, timeoutMillis: 5_000 });
  onTestFinished(() => channel.close());
  return channel;
}

test('a probe tells what the link carries and how long a word takes', async () => {
  const { address, destination } = await listening();
  const sample = await probeLink(address, options);
  expect(sample.bytes).toBeGreaterThan(1024 ** 2);
  expect(sample.bandwidth).toBeCloseTo((sample.bytes / sample.millis) * 1000, -6);
  expect(sample.roundTripMillis).toBeGreaterThan(0);
  expect(sample.roundTripMillis).toBeLessThan(sample.millis);
  expect(destination.status).toBe('setup');
});

test('without time for it nothing is sent but words', async () => {
  const { address } = await listening();
  const sample = await probeLink(address, { ...options, millis: 0 });
  expect(sample).toMatchObject({ bytes: 0, bandwidth: 0 });
  expect(sample.roundTripMillis).toBeGreaterThan(0);
});

test('one probe is served at a time, and the next one after it', async () => {
  const { address } = await listening();
  const first = await quietProbe(address);
  await expect(probeLink(address, options)).rejects.toThrow('another probe is under way');
  first.close();
  await vi.waitFor(async () => await probeLink(address, options), { timeout: 10_000 });
});

test('a source gets in while a probe is under way, and ends it', async () => {
  const { address, ram, destination } = await listening();
  const probe = probeLink(address, { millis: 3_000, timeoutMillis: 5_000 });
  probe.catch(() => undefined); // looked at below
  await isUnderWay(address);
  const source = await HandMadeSource.open(address);
  await expect(probe).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  source.send(source.start(ram));
  while (destination.status !== 'active') {
    await once(destination, 'status', { signal: AbortSignal.timeout(10_000) });
  }
  await expect(probeLink(address, options)).rejects.toThrow('another migration has begun here');
});

test('a probe that is given up leaves no thread and no descriptor on either side', async () => {
  const { address, destination } = await listening();
  const before = descriptors();
  const probes = 16; // a leak of each is more than what threads of the destination may yet open
  for (let probe = 0; probe < probes; probe += 1) await giveProbeUp(address);
  await vi.waitFor(() => expect(descriptors()).toBeLessThan(before + probes), { timeout: 10_000 });
  expect(destination.status).toBe('setup');
});

async function giveProbeUp(address: Address): Promise<void> {
  const given = new AbortController();
  const probe = probeLink(address, { ...options, millis: 3_000, signal: given.signal });
  await Promise.all([
    expect(probe).rejects.toMatchObject({ code: 'ERR_ABORTED' }),
    isUnderWay(address).then(() => given.abort()),
  ]);
  const next = async (): Promise<unknown> => await probeLink(address, { ...options, millis: 0 });
  await vi.waitFor(next, { timeout: 10_000 }); // the other has ended there too
}

test('a destination that stops waiting ends a probe and does not wait for it', async () => {
  const { address, destination } = await listening();
  await quietProbe(address);
  await destination.close();
  expect(destination.status).toBe('setup');
  await expect(probeLink(address, options)).rejects.toMatchObject({ code: 'ERR_CONNECT' });
});

/** A probe that was begun before has got in. */
async function isUnderWay(address: Address): Promise<void> {
  await expect(quietProbe(address)).rejects.toThrow('another probe is under way');
}

function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}
