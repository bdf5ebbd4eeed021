import { expect, onTestFinished, test, vi } from 'vitest';
import { type Capabilities, capabilityDefaults } from '../src/capabilities.ts';
import { ControlInbox } from '../src/migration/control-inbox.ts';
import { DestinationMigration } from '../src/migration/destination.ts';
import type { DestinationOptions } from '../src/migration/destination-options.ts';
import { SourceMigration } from '../src/migration/source.ts';
import type { Parameters } from '../src/parameters.ts';
import { type Commands, Thread } from '../src/threads/thread.ts';
import { parameters, QuietGuest } from './hand-made-peer.ts';
import { bytesOf, realRam } from './real-ram.ts';

const PAGES = 1024;
/** All of it takes two seconds, before the switchover and after it. */
const slow = { ...parameters, 'max-bandwidth': 2_000_000, 'max-postcopy-bandwidth': 2_000_000 };

/** A source and a real destination for it. */
async function pair(
  wanted: Partial<Capabilities>,
  how: Parameters = parameters,
  more: Partial<DestinationOptions> = {},
) {
  const guest = new QuietGuest(realRam([PAGES]), true);
  bytesOf(guest.ram[0]).fill(7);
  const arrived = new QuietGuest(realRam([PAGES]), false);
  const destination = new DestinationMigration(arrived, { parameters: () => parameters, ...more });
  onTestFinished(async () => await destination.close());
  const address = await destination.listen({ type: 'tcp', host: '127.0.0.1', port: 0 });
  const capabilities = { ...capabilityDefaults, ...wanted };
  const source = new SourceMigration(guest, { capabilities, parameters: how });
  const statuses: string[] = [];
  source.on('status', (status) => statuses.push(status));
  return { guest, arrived, source, destination, address, statuses };
}

async function reaches(source: SourceMigration, status: string): Promise<void> {
  await vi.waitUntil(() => source.status === status, { timeout: 20_000, interval: 5 });
}

test('the word that the guest may be stopped cuts nothing short once it stands still', async () => {
  let giveWord = (): void => undefined;
  const word = new Promise<void>((resolve) => {
    giveWord = resolve;
  });
  const wanted = { 'switchover-ack': true, 'postcopy-ram': true };
  const parts = await pair(wanted, slow, { switchoverReady: async () => await word });
  const { guest, source, address, statuses } = parts;
  source.start(address);
  await reaches(source, 'active');
  guest.running = false; // stopped by its user: no word is needed
  source.startPostcopy();
  await reaches(source, 'postcopy-active');
  giveWord();
  await reaches(source, 'completed');
  expect(statuses).not.toContain('postcopy-paused');
});

test('whoever is told of the pause before the switchover may end it at once', async () => {
  const { source, arrived, address } = await pair({ 'pause-before-switchover': true });
  source.on('status', (status) => {
    if (status === 'pre-switchover') source.continueFrom(status);
  });
  source.start(address);
  await reaches(source, 'completed');
  expect(arrived.running).toBe(true);
});

test('a pause that comes while the link is being lost leaves the next attempt to its user', async () => {
  const wanted = { 'postcopy-ram': true, 'x-auto-recover': true };
  const { source, destination, address } = await pair(wanted, slow);
  const told = vi.fn<() => void>();
  source.on('recovery', told);
  source.start(address);
  await reaches(source, 'active');
  source.startPostcopy();
  await reaches(source, 'postcopy-active');
  const spy = vi.spyOn(ControlInbox.prototype, 'fail').mockImplementationOnce(() => {
    source.pause(); // what ends the link has just been noted
  });
  onTestFinished(() => spy.mockRestore());
  destination.yank();
  await reaches(source, 'postcopy-paused');
  expect(source.error).toMatchObject({ code: 'ERR_POSTCOPY_PAUSED_BY_USER' });
  expect(told).not.toHaveBeenCalled();
  source.setParameters(parameters);
  spy.mockRestore();
  source.resume(address);
  await reaches(source, 'completed');
});

/** Until the test ends this thread is held up after each word to another one, as on a busy host. */
function holdUp(millis: number): void {
  // oxlint-disable-next-line typescript/unbound-method -- applied to a thread below
  const { call } = Thread.prototype;
  const spy = vi.spyOn(Thread.prototype, 'call');
  onTestFinished(() => spy.mockRestore());
  spy.mockImplementation(function (this: Thread<Commands, unknown>, command, argument) {
    const answer = call.call(this, command, argument);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, millis);
    return answer;
  });
}

test('the first checked frame is checked, however long this thread is held up before it', async () => {
  const beating = { ...parameters, 'x-heartbeat-interval': 10 };
  const { source, destination, address } = await pair({ 'x-checksum': true }, beating);
  holdUp(30); // heartbeats are due meanwhile
  source.start(address);
  await source.ended;
  expect([source.error, destination.error]).toEqual([undefined, undefined]);
  expect(source.status).toBe('completed');
});

/** Until the test ends whoever gives a thread a connection is told that it is dead. */
function killThreads(): void {
  // oxlint-disable-next-line typescript/unbound-method -- applied to a thread below
  const { call } = Thread.prototype;
  onTestFinished(() => void (Thread.prototype.call = call));
  // No spy: it would listen to what is returned, and nothing would be unhandled.
  Thread.prototype.call = function (this: Thread<Commands, unknown>, command, argument) {
    if (command === 'attach') return Promise.reject(new Error('the thread has ended'));
    return call.call(this, command, argument);
  };
}

test('a thread that died before it got its link ends the migration, and not the process', async () => {
  const unhandled = vi.fn<() => void>();
  process.on('unhandledRejection', unhandled);
  onTestFinished(() => void process.off('unhandledRejection', unhandled));
  const { guest, source, destination, address } = await pair({});
  killThreads();
  source.start(address);
  await source.ended;
  expect(source.status).toBe('failed');
  expect(guest.running).toBe(true);
  await vi.waitUntil(() => destination.error !== undefined, { timeout: 5000 });
  expect(unhandled).not.toHaveBeenCalled();
});
