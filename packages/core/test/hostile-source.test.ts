import { duplicateDescriptor, pageBytes, probeHost, unsentBytes } from '@godwit/posix';
import { type ControlType, controlTypes, encodeDevice, FrameType } from '@godwit/transport';
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { DestinationMigration } from '../src/migration/destination.ts';
import { control, HandMadeSource, parameters, QuietGuest, runFrame } from './hand-made-peer.ts';
import { frameOf, headerAlone, sampleOf } from './messages-out-of-state.ts';
import { newFolder, pageOf, realRam } from './real-ram.ts';

/*
 * A source that speaks well, but not when it should. What each phase takes is docs/PROTOCOL.md's to say.
 */

const PAGES = 32;
const DEVICE_BYTES = 64 * 1024 * 1024;
const device = encodeDevice(Uint8Array.of(1));
const discardAll = runFrame(FrameType.DISCARD, PAGES, PAGES / 8);
const somePages = runFrame(FrameType.PAGES, 8, 8 * pageBytes);
const allZero = runFrame(FrameType.ZERO, PAGES, 0);
const hasUserfault = probeHost().userfaultfd.available;
const refusal =
  /does not belong here|is not for a destination|out of turn|sync point|DISCARD before|gave up/;

/** Nothing here waits for time to be up. */
const patient = { ...parameters, 'x-handshake-timeout': 30_000 };

async function listening() {
  const ram = realRam([PAGES]);
  const guest = new QuietGuest(ram, false);
  const destination = new DestinationMigration(guest, { parameters: () => patient });
  onTestFinished(async () => await destination.close());
  const address = await destination.listen({ type: 'unix', path: `${newFolder('/tmp')}/fuzz` });
  return { destination, guest, ram, address };
}

async function adopted(caps: readonly string[] = [], channels = 0) {
  const it = await listening();
  const source = await HandMadeSource.open(it.address);
  source.send(source.start(it.ram, caps, channels));
  await source.hears('started');
  return { ...it, source };
}

/** In postcopy, the guest running here, most pages missing. */
async function inPostcopy() {
  const it = await adopted(['postcopy-ram']);
  it.source.send(somePages, discardAll, control({ t: 'listen' }), device);
  await it.source.hears('loaded');
  it.source.send(control({ t: 'run', paused: true }));
  await it.source.hears('running');
  return it;
}

async function reaches(destination: DestinationMigration, status: string): Promise<void> {
  while (destination.status !== status) {
    await once(destination, 'status', { signal: AbortSignal.timeout(10_000) });
  }
}

/** Of a link that leaves the status as it is. */
async function failsAnew(
  destination: DestinationMigration,
  before: Error | undefined,
): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (destination.error === before && performance.now() < deadline) {
    await new Promise(setImmediate);
  }
}

function allBut(...taken: readonly ControlType[]): ControlType[] {
  return controlTypes.filter((type) => !taken.includes(type));
}

describe('what does not belong is refused by its name, and nothing has changed:', () => {
  test('before anything is agreed on, every message but start, every frame but a heartbeat', async () => {
    const { destination, guest, ram, address } = await listening();
    const frames = Object.values(FrameType).filter((type) => type !== FrameType.HEARTBEAT);
    const bad = [...allBut('start').map(sampleOf), ...frames.map((type) => frameOf(type, PAGES))];
    for (const frame of bad) {
      const source = await HandMadeSource.open(address);
      const before = destination.error;
      source.send(frame);
      await failsAnew(destination, before);
      // Who gives up has said why; nobody else may come before that is over.
      expect(destination.error?.message).toMatch(refusal);
      expect(destination.status).toBe('setup');
    }
    expect(guest.running).toBe(false);
    expect(pageOf(ram[0], 0).every((byte) => byte === 0)).toBe(true);
  });

  const notWhileReceiving = [
    'start',
    'sync',
    'run',
    'end',
    'finished',
    'recover',
    'resume',
  ] as const;
  test.each(notWhileReceiving)('%s while pages come', async (type) => {
    const { destination, guest, source } = await adopted();
    source.send(somePages, sampleOf(type));
    await reaches(destination, 'failed');
    expect(destination.error?.message).toMatch(refusal);
    expect(guest.running).toBe(false);
  });

  test.skipIf(!hasUserfault).each(['listen', 'run', 'end', 'recover', 'resume'] as const)(
    '%s while postcopy waits for device state',
    async (type) => {
      const { destination, guest, source } = await adopted(['postcopy-ram']);
      source.send(somePages, discardAll, control({ t: 'listen' }), sampleOf(type));
      await reaches(destination, 'failed');
      expect(destination.error?.message).toMatch(refusal);
      expect(guest.running).toBe(false);
    },
  );

  test.skipIf(!hasUserfault)(
    'in postcopy, every message but run and end, on link after link',
    async () => {
      const it = await inPostcopy();
      let { source } = it;
      const frames = [
        FrameType.DISCARD,
        FrameType.ZLIB_PAGES,
        FrameType.DEVICE,
        FrameType.REQUEST,
        FrameType.RECV_BITMAP,
      ];
      const bad = [
        ...allBut('run', 'end').map(sampleOf),
        ...frames.map((type) => frameOf(type, PAGES)),
      ];
      for (const frame of bad) {
        source.send(frame);
        await reaches(it.destination, 'postcopy-paused');
        // 'abandon' comes too late; it says why and changes nothing.
        expect(it.destination.error?.message).toMatch(refusal);
        source = await source.reopen();
        source.send(control({ t: 'recover' }));
        await source.hears('recovering');
        source.send(control({ t: 'resume' }));
        await source.hears('resumed');
      }
      source.send(allZero, control({ t: 'end' }));
      await source.hears('complete');
      await reaches(it.destination, 'completed');
    },
  );

  test.skipIf(!hasUserfault)(
    'at the beginning of a recovery, every message but recover',
    async () => {
      const it = await inPostcopy();
      let { source } = it;
      source.channel.shutdown();
      for (const type of allBut('recover')) {
        await reaches(it.destination, 'postcopy-paused');
        source = await source.reopen();
        source.send(sampleOf(type));
        await reaches(it.destination, 'postcopy-recover');
        await reaches(it.destination, 'postcopy-paused');
        expect(it.destination.error?.message).toMatch(refusal);
      }
      expect(it.guest.running).toBe(false); // it came paused
    },
  );

  test.skipIf(!hasUserfault)(
    'on the urgent channel, every frame but pages and heartbeats',
    async () => {
      const it = await inPostcopy();
      let { source } = it;
      const taken = new Set<FrameType>([FrameType.PAGES, FrameType.ZERO, FrameType.HEARTBEAT]);
      for (const type of Object.values(FrameType).filter((one) => !taken.has(one))) {
        const urgent = await source.openUrgent();
        writeSync(urgent.descriptor, frameOf(type, PAGES));
        await reaches(it.destination, 'postcopy-paused');
        expect(it.destination.error?.message).toContain('(urgent channel)');
        source = await source.reopen();
      }
    },
  );
});

describe('device state is not even read', () => {
  test('before anything is agreed on', async () => {
    const { destination, address } = await listening();
    const source = await HandMadeSource.open(address);
    source.send(headerAlone(FrameType.DEVICE, DEVICE_BYTES));
    await failsAnew(destination, undefined);
    expect(destination.error?.message).toContain('0x11 does not belong here');
  });

  test('a second time', async () => {
    const { destination, source } = await adopted();
    source.send(allZero, device);
    await source.hears('loaded');
    source.send(headerAlone(FrameType.DEVICE, DEVICE_BYTES));
    await reaches(destination, 'postcopy-paused');
    expect(destination.error?.message).toContain('0x11 does not belong here');
  });

  test.skipIf(!hasUserfault)('a second time in postcopy', async () => {
    const { destination, source } = await adopted(['postcopy-ram']);
    source.send(discardAll, control({ t: 'listen' }), device);
    await source.hears('loaded');
    source.send(headerAlone(FrameType.DEVICE, DEVICE_BYTES));
    await reaches(destination, 'postcopy-paused');
    expect(destination.error?.message).toContain('0x11 does not belong here');
  });
});

test.skipIf(!hasUserfault)('a DISCARD with bits past its pages is refused', async () => {
  const { destination, source } = await adopted(['postcopy-ram']);
  source.send(runFrame(FrameType.DISCARD, PAGES - 3, PAGES / 8));
  await reaches(destination, 'failed');
  expect(destination.error?.message).toContain('DISCARD of block 0 has bits past its end');
});

describe('a source that leaves while its channels wait for each other is noticed', () => {
  test('at a sync point that a channel never comes to', async () => {
    const { destination, source } = await adopted(['multifd'], 1);
    source.send(control({ t: 'sync', n: 1 }));
    source.channel.shutdown();
    await reaches(destination, 'failed');
    expect(destination.error?.message).toContain('left while its channels waited');
  });

  test('behind device state, with a run of pages begun on another channel', async () => {
    const { destination, source } = await adopted(['multifd'], 1);
    const pages = await source.openPages(0);
    writeSync(pages.descriptor, somePages.subarray(0, pageBytes));
    // A Unix socket tells when its bytes have been read; the rest of them the reader waits for.
    await vi.waitUntil(() => unsentBytes(pages.descriptor) === 0, { timeout: 10_000 });
    source.send(device);
    source.channel.shutdown();
    await reaches(destination, 'failed');
    expect(destination.error?.message).toContain('left while its channels waited');
  });
});

test('a source that asks and does not listen fills its own socket, and is answered once it does', async () => {
  const { source } = await adopted();
  const FLUSHES = 20_000;
  const flush = control({ t: 'flush' });
  const socket = new Socket({ fd: duplicateDescriptor(source.channel.descriptor), writable: true });
  onTestFinished(() => void socket.destroy());
  const heard = new Promise<number>((resolve) => {
    let bytes = 0;
    const answer = control({ t: 'flushed' }).byteLength;
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.byteLength;
      if (bytes >= FLUSHES * answer) resolve(bytes);
    });
  });
  socket.pause();
  socket.write(Buffer.concat(Array.from({ length: FLUSHES }, () => flush)));
  const before = { unread: -1 };
  const isStuck = (): boolean => {
    const unread = unsentBytes(source.channel.descriptor);
    const isSame = unread === before.unread;
    before.unread = unread;
    return isSame;
  };
  await vi.waitUntil(isStuck, { timeout: 10_000, interval: 200 });
  expect(before.unread).toBeGreaterThan(0); // what is not answered is not read either
  socket.resume();
  expect(await heard).toBeGreaterThan(0);
});
