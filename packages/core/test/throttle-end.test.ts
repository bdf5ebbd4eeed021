import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test, vi } from 'vitest';
import { type Capabilities, capabilityDefaults } from '../src/capabilities.ts';
import { DestinationMigration } from '../src/migration/destination.ts';
import { SourceMigration } from '../src/migration/source.ts';
import { changeParameters, type Parameters } from '../src/parameters.ts';
import { parameters, QuietGuest } from './hand-made-peer.ts';
import { bytesOf, realRam } from './real-ram.ts';

const PAGES = 64;
/** Passes go on for ever: the guest writes after each sync. */
const endless = { ...parameters, 'downtime-limit': 0, 'cpu-throttle-initial': 60 };

/** Writes all its memory at each pass, and remembers how it was slowed down. */
class WritingGuest extends QuietGuest {
  readonly told: (number | 'pause' | 'resume')[] = [];

  throttle(percentage: number): void {
    this.told.push(percentage);
  }

  override async pause(): Promise<void> {
    this.told.push('pause');
    await super.pause();
  }

  override async resume(): Promise<void> {
    this.told.push('resume');
    await super.resume();
  }

  write(value: number): void {
    bytesOf(this.ram[0]).fill(value % 256);
  }
}

/** A guest that is slowed down, on its way to a real destination. */
async function throttled(more: Partial<Capabilities> = {}) {
  const guest = new WritingGuest(realRam([PAGES]), true);
  const arrived = new QuietGuest(realRam([PAGES]), false);
  const options = { parameters: (): Parameters => parameters, vcpus: 1, blocktime: false };
  const destination = new DestinationMigration(arrived, options);
  onTestFinished(async () => await destination.close());
  const address = await destination.listen({ type: 'tcp', host: '127.0.0.1', port: 0 });
  const wanted = { 'auto-converge': true, 'postcopy-ram': true, ...more };
  const capabilities = { ...capabilityDefaults, ...wanted };
  const { made: source, workers } = withWorkers(() => {
    return new SourceMigration(guest, { capabilities, parameters: endless });
  });
  source.on('pass', (pass) => {
    if (guest.running) guest.write(pass);
  });
  source.start(address);
  await vi.waitUntil(() => guest.told.includes(60), { timeout: 20_000 });
  expect(source.info()).toHaveProperty('cpu-throttle-percentage');
  return { guest, source, destination, workers };
}

test('a guest whose sender dies while it is slowed down is let go, and runs on', async () => {
  const { guest, source, destination, workers } = await throttled();
  const [sender] = workers as [Worker]; // of the main channel: the first that a source starts
  await sender.terminate();
  await source.ended;
  expect(source.status).toBe('failed');
  expect(source.error?.message).toContain('thread ram-sender has ended');
  expect(guest.told.at(-1)).toBe(0);
  expect(guest.running).toBe(true);
  await destination.ended;
  expect(destination.ownsGuest).toBe(false);
});

/** @returns what is made, and the threads that are started for it, in order. */
function withWorkers<T>(make: () => T): { made: T; workers: readonly Worker[] } {
  const workers: Worker[] = [];
  const note = (message: unknown): void =>
    void workers.push((message as { worker: Worker }).worker);
  subscribe('worker_threads', note);
  try {
    return { made: make(), workers };
  } finally {
    unsubscribe('worker_threads', note);
  }
}

type Ending = (parts: Awaited<ReturnType<typeof throttled>>) => unknown;

const givenBack: Readonly<Record<string, Ending>> = {
  'a cancel': ({ source }) => source.cancel(),
  'the loss of the link': async ({ destination }) => await destination.close(),
};

test.each(Object.entries(givenBack))('%s lets the guest go, which runs on', async (_, end) => {
  const parts = await throttled();
  const { guest, source } = parts;
  await end(parts);
  await source.ended;
  expect(guest.told.at(-1)).toBe(0);
  expect(guest.running).toBe(true);
  expect(source.info()).not.toHaveProperty('cpu-throttle-percentage');
});

test('a guest that is taken back from its pause is let go before it runs', async () => {
  const { guest, source, destination } = await throttled({ 'pause-before-switchover': true });
  source.setParameters(changeParameters(endless, { 'downtime-limit': 2000 }));
  await vi.waitUntil(() => source.status === 'pre-switchover', { timeout: 20_000 });
  expect(source.info()).toHaveProperty('cpu-throttle-percentage'); // until something becomes of it
  await destination.close();
  await source.ended;
  expect(source.status).toBe('failed');
  expect(guest.told.slice(-3)).toEqual(['pause', 0, 'resume']);
});

const handedOver: Readonly<Record<string, Ending>> = {
  'a precopy that converges': ({ source }) => {
    source.setParameters(changeParameters(endless, { 'downtime-limit': 2000 }));
  },
  'a switch to postcopy': ({ source }) => source.startPostcopy(),
};

test.each(Object.entries(handedOver))(
  '%s lets the guest go once it stands still',
  async (_, end) => {
    const parts = await throttled();
    const { guest, source } = parts;
    await end(parts);
    await source.ended;
    expect(source.status).toBe('completed');
    expect(guest.told.slice(-2)).toEqual(['pause', 0]);
    expect(source.info()).not.toHaveProperty('cpu-throttle-percentage');
  },
);
