import {
  type Address,
  type Channel,
  type ControlMessage,
  decodeControl,
  encodeControl,
  FrameType,
  Listener,
} from '@godwit/transport';
import { writeSync } from 'node:fs';
import { expect, onTestFinished, test, vi } from 'vitest';
import { capabilityDefaults } from '../src/capabilities.ts';
import { PageBitmap } from '../src/memory/page-bitmap.ts';
import { proofOf } from '../src/memory/received-pages.ts';
import { SourceMigration } from '../src/migration/source.ts';
import { Thread } from '../src/threads/thread.ts';
import { FrameStream } from './frame-stream.ts';
import { parameters, QuietGuest, readSome } from './hand-made-peer.ts';
import { bytesOf, newFolder, realRam } from './real-ram.ts';

const anyPort: Address = { type: 'tcp', host: '127.0.0.1', port: 0 };

/** A destination's address, and whoever dials it is given to `serve`. */
async function listen(address: Address, serve: (channel: Channel) => Promise<void>) {
  const listener = await Listener.open(address, {
    timeoutMillis: 5000,
    admit: (hello) => ({
      session: { migrationId: hello.migrationId, secret: hello.proof },
      epoch: 0,
    }),
    onChannel: (channel: Channel) => {
      onTestFinished(() => channel.close());
      void serve(channel);
    },
  });
  onTestFinished(async () => await listener.close());
  return listener.address;
}

test('a guest that was stopped goes on when the link takes nothing any more', async () => {
  const ram = realRam([16_384]);
  const guest = new QuietGuest(ram, true);
  guest.onPause = () => void bytesOf(ram[0]).fill(7); // far more than a socket holds
  const address = await listen(anyPort, startAndStall);
  const source = new SourceMigration(guest, { capabilities: capabilityDefaults, parameters });
  const statuses: string[] = [];
  source.on('status', (status) => statuses.push(status));
  source.start(address);
  await source.ended;
  expect(statuses).toEqual(['setup', 'active', 'device', 'failed']);
  expect(source.error?.message).toContain('nothing could be sent');
  expect(guest.running).toBe(true);
});

test('who gives up while the threads still start does not wait for them', async () => {
  vi.spyOn(Thread.prototype, 'call').mockReturnValue(new Promise(() => undefined));
  onTestFinished(() => void vi.restoreAllMocks());
  const guest = new QuietGuest(realRam([1]), true);
  const source = new SourceMigration(guest, { capabilities: capabilityDefaults, parameters });
  source.start({ type: 'unix', path: '/nonexistent/nobody' });
  source.cancel();
  await vi.waitUntil(() => source.status === 'cancelled');
  expect(guest.running).toBe(true);
  await source.ended;
});

test('a destination that leaves with the last word on its way has completed all the same', async () => {
  const ram = realRam([64]);
  const guest = new QuietGuest(ram, true);
  const all = new PageBitmap(64);
  all.fill();
  const proof = proofOf([all]);
  const path = `${newFolder('/tmp')}/leaves`;
  const address = await listen({ type: 'unix', path }, async (channel) => {
    const say = (...messages: ControlMessage[]): void => {
      writeSync(channel.descriptor, Buffer.concat(messages.map(encodeControl)));
    };
    await readSome(channel);
    say({ t: 'started' });
    say({ t: 'loaded', ...proof });
    for (let heard = ''; !heard.includes('paused');) heard += await readSome(channel); // of `run`
    say({ t: 'running' }, { t: 'complete', ...proof });
    channel.close();
  });
  const patient = { ...parameters, 'x-handshake-timeout': 10_000 };
  const source = new SourceMigration(guest, {
    capabilities: capabilityDefaults,
    parameters: patient,
  });
  source.start(address);
  await source.ended;
  expect(source.status).toBe('completed');
  expect(guest.running).toBe(false);
});

test('with switchover-ack the guest runs until the destination has given its word', async () => {
  const guest = new QuietGuest(realRam([64]), true);
  const said: string[] = [];
  const address = await listen(anyPort, async (channel) => {
    const say = (message: ControlMessage): void => {
      writeSync(channel.descriptor, encodeControl(message));
      said.push(message.t);
    };
    await readSome(channel);
    say({ t: 'started' });
    guest.onPause = () => said.push('STOP');
    for (let passes = 0; passes < 4;) passes += (await readSome(channel)).split('pass').length - 1;
    say({ t: 'switchover-ack' });
    for (let heard = ''; !heard.includes('abandon');) heard += await readSome(channel);
  });
  const capabilities = { ...capabilityDefaults, 'switchover-ack': true };
  const source = new SourceMigration(guest, { capabilities, parameters });
  source.start(address);
  await source.ended; // nobody loads the guest
  expect(said).toEqual(['started', 'switchover-ack', 'STOP']);
  expect(source.status).toBe('failed');
  expect(guest.running).toBe(true);
});

test('a destination that falls silent is not waited for, whatever word it owes', async () => {
  const guest = new QuietGuest(realRam([64]), true);
  const address = await listen(anyPort, startAndStall);
  const capabilities = { ...capabilityDefaults, 'switchover-ack': true };
  const source = new SourceMigration(guest, { capabilities, parameters });
  source.start(address);
  await source.ended;
  expect(source.error?.message).toContain("'flushed' did not come");
  expect(source.status).toBe('failed');
  expect(guest.running).toBe(true);
});

test('a limit of silence that is raised meanwhile holds for the kernel as well', async () => {
  const ram = realRam([16_384]);
  bytesOf(ram[0]).fill(7); // far more than a socket holds
  const address = await listen(anyPort, startAndStall);
  const beating = { ...parameters, 'x-heartbeat-interval': 100, 'x-link-timeout': 500 };
  const source = new SourceMigration(new QuietGuest(ram, true), {
    capabilities: capabilityDefaults,
    parameters: beating,
  });
  let raisedMillis = Infinity;
  source.on('status', (status) => {
    if (status !== 'active') return;
    source.setParameters({ ...beating, 'x-link-timeout': 4000 });
    raisedMillis = performance.now();
  });
  source.start(address);
  await source.ended;
  expect(performance.now() - raisedMillis).toBeGreaterThan(3000);
});

test('a destination that fails while pages are sent is quoted', async () => {
  const guest = new QuietGuest(realRam([64]), true);
  const address = await listen(anyPort, async (channel) => {
    await readSome(channel);
    writeSync(channel.descriptor, encodeControl({ t: 'started' }));
    await readSome(channel);
    writeSync(channel.descriptor, encodeControl({ t: 'failed', why: 'no room' }));
  });
  const capabilities = { ...capabilityDefaults, 'switchover-ack': true };
  const source = new SourceMigration(guest, { capabilities, parameters });
  source.start(address);
  await source.ended;
  expect(source.error).toMatchObject({
    code: 'ERR_PEER_FAILED',
    message: 'the destination: no room',
  });
  expect(guest.running).toBe(true);
});

test('a guest that cannot be slowed down is refused with auto-converge, by name', () => {
  const guest = new QuietGuest(realRam([1]), true);
  const capabilities = { ...capabilityDefaults, 'auto-converge': true };
  expect(() => new SourceMigration(guest, { capabilities, parameters })).toThrow(
    expect.objectContaining({
      code: 'ERR_ARGUMENT',
      message: expect.stringContaining("'auto-converge'"),
    }),
  );
});

test('zero-page-detection takes effect in a running migration', async () => {
  const pages = 2048;
  const ram = realRam([pages]);
  bytesOf(ram[0]).fill(0); // touched, so that no scan finds them to be zero
  const slow = { ...parameters, 'max-bandwidth': 4_000_000 }; // two seconds
  const source = new SourceMigration(new QuietGuest(ram, true), {
    capabilities: capabilityDefaults,
    parameters: { ...slow, 'zero-page-detection': 'none' },
  });
  const counts = { asTheyAre: 0, asZeros: 0 };
  const address = await listen(anyPort, async (channel) => {
    const stream = new FrameStream(channel.descriptor, [pages]);
    for (;;) {
      const { header, body } = await stream.next();
      const { type, pageCount } = header;
      if (type === FrameType.PAGES) {
        if (counts.asTheyAre === 0) source.setParameters(slow);
        counts.asTheyAre += pageCount;
      }
      if (type === FrameType.ZERO) counts.asZeros += pageCount;
      if (type !== FrameType.CONTROL) continue;
      const { t } = decodeControl(body);
      if (t === 'start') writeSync(channel.descriptor, encodeControl({ t: 'started' }));
      if (t === 'pass') return channel.close();
    }
  });
  source.start(address);
  await source.ended;
  expect(counts.asTheyAre + counts.asZeros).toBe(pages);
  expect(counts.asTheyAre).toBeGreaterThan(0);
  expect(counts.asTheyAre).toBeLessThan(pages / 2);
});

/** Adopts the migration, and reads no more. */
async function startAndStall(channel: Channel): Promise<void> {
  await readSome(channel);
  writeSync(channel.descriptor, encodeControl({ t: 'started' }));
}
