import { pageBytes, probeHost, unsentBytes } from '@godwit/posix';
import { type Address, encodeDevice, FrameType } from '@godwit/transport';
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { deflateSync } from 'node:zlib';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { DestinationMigration } from '../src/migration/destination.ts';
import type { DestinationOptions } from '../src/migration/destination-options.ts';
import {
  control,
  HandMadeSource,
  parameters,
  QuietGuest,
  runFrame,
  zlibFrame,
} from './hand-made-peer.ts';
import { newFolder, pageOf, realRam } from './real-ram.ts';

const PAGES = 32;
const device = encodeDevice(Uint8Array.of(1));
const allZero = runFrame(FrameType.ZERO, PAGES, 0);
const anyPort: Address = { type: 'tcp', host: '127.0.0.1', port: 0 };

async function listening(at: Address = anyPort, more: Partial<DestinationOptions> = {}) {
  const ram = realRam([PAGES]);
  const guest = new QuietGuest(ram, false);
  const options = { parameters: () => parameters, vcpus: 1, blocktime: false, ...more };
  const destination = new DestinationMigration(guest, options);
  onTestFinished(async () => await destination.close());
  const address = await destination.listen(at);
  return { destination, guest, ram, source: await HandMadeSource.open(address) };
}

async function reaches(destination: DestinationMigration, status: string): Promise<void> {
  while (destination.status !== status) {
    await once(destination, 'status', { signal: AbortSignal.timeout(10_000) });
  }
}

test.each(Array.from({ length: 12 }, (_, i) => i))(
  'a source that gives up right behind the device state is not waited for (try %i)',
  async () => {
    const { destination, guest, ram, source } = await listening();
    source.send(source.start(ram));
    await reaches(destination, 'active');
    source.send(allZero, device, control({ t: 'abandon', why: 'cancelled' }));
    source.channel.shutdown();
    await reaches(destination, 'failed');
    await destination.ended; // by itself: nobody has closed it
    expect(guest.running).toBe(false);
  },
);

const changes = {
  PAGES: runFrame(FrameType.PAGES, 1, pageBytes),
  ZERO: runFrame(FrameType.ZERO, PAGES, 0),
  DISCARD: runFrame(FrameType.DISCARD, PAGES, PAGES / 8),
};

test.each(Object.entries(changes))(
  'after the device state of a precopy %s is refused, and memory is as it was',
  async (_name, frame) => {
    const { destination, guest, ram, source } = await listening();
    source.send(source.start(ram));
    await reaches(destination, 'active');
    source.send(runFrame(FrameType.PAGES, PAGES, PAGES * pageBytes), device);
    await source.hears('loaded');
    source.send(frame);
    await reaches(destination, 'postcopy-paused');
    expect(destination.error?.message).toContain('does not belong here');
    expect(guest.running).toBe(false);
    expect(pageOf(ram[0], 0).every((byte) => byte === 0xff)).toBe(true);
  },
);

test('the word that the guest may be stopped waits for whoever embeds the destination', async () => {
  const ready = newDeferred();
  const signals: AbortSignal[] = [];
  const switchoverReady = async (signal: AbortSignal): Promise<void> => {
    signals.push(signal);
    await ready.promise;
  };
  const { destination, ram, source } = await listening(anyPort, { switchoverReady });
  source.send(source.start(ram, ['switchover-ack']), control({ t: 'flush' }));
  await source.hears('flushed'); // said after `started`, and before the word
  expect(source.heard).not.toContain('switchover-ack');
  ready.resolve();
  await source.hears('switchover-ack');
  source.channel.shutdown();
  await reaches(destination, 'failed');
  expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
});

test('without the capability nobody is asked, and the word is not given', async () => {
  const switchoverReady = vi.fn<() => Promise<void>>();
  const { ram, source } = await listening(anyPort, { switchoverReady });
  source.send(source.start(ram), control({ t: 'flush' }), control({ t: 'flush' }));
  await source.hears('flushed');
  expect(switchoverReady).not.toHaveBeenCalled();
  expect(source.heard).not.toContain('switchover-ack');
});

test('a destination that cannot get ready says why, and the migration fails', async () => {
  const switchoverReady = async (): Promise<void> => {
    throw new Error('no network here');
  };
  const { destination, ram, source } = await listening(anyPort, { switchoverReady });
  source.send(source.start(ram, ['switchover-ack']));
  await source.hears('failed');
  await reaches(destination, 'failed');
  expect(destination.error?.message).toBe('not ready for the switchover: no network here');
});

test('before anything is agreed on no page is taken', async () => {
  const { destination, ram, source } = await listening();
  source.send(changes.PAGES);
  await source.closed();
  await vi.waitFor(() => expect(destination.error?.message).toContain('does not belong here'));
  expect(destination.status).toBe('setup');
  expect(pageOf(ram[0], 0).every((byte) => byte === 0)).toBe(true);
});

test('what a source still sends behind its giving up is thrown away as well', async () => {
  const { destination, ram, source } = await listening();
  source.send(source.start(ram));
  await reaches(destination, 'active');
  const all = runFrame(FrameType.PAGES, PAGES, PAGES * pageBytes);
  const more = Array.from({ length: 64 }, () => all);
  source.send(all, control({ t: 'abandon', why: 'cancelled' }), ...more);
  await reaches(destination, 'failed');
  for (let page = 0; page < PAGES; page++) {
    expect(pageOf(ram[0], page).every((byte) => byte === 0)).toBe(true);
  }
});

const listen = control({ t: 'listen' });
const early = {
  'pages behind a DISCARD': [changes.DISCARD, changes.PAGES],
  "'listen' without a DISCARD": [listen],
  "'listen' said twice": [changes.DISCARD, listen, listen],
  'a sync point without page channels': [control({ t: 'sync', n: 1 })],
} as const;

test.skipIf(!probeHost().userfaultfd.available).each(Object.entries(early))(
  '%s: the migration fails, and what had arrived is nothing',
  async (_name, frames) => {
    const { destination, guest, ram, source } = await listening();
    source.send(source.start(ram, ['postcopy-ram']));
    await reaches(destination, 'active');
    source.send(runFrame(FrameType.PAGES, PAGES, PAGES * pageBytes), ...frames);
    await reaches(destination, 'failed');
    expect(guest.running).toBe(false);
    await destination.close(); // before it, who touches a missing page waits
    expect(pageOf(ram[0], 1).every((byte) => byte === 0)).toBe(true);
  },
);

describe('a page channel', () => {
  /** Adopted, with one page channel. */
  async function withPages(at: Address = anyPort) {
    const it = await listening(at);
    it.source.send(it.source.start(it.ram, ['multifd'], 1));
    await reaches(it.destination, 'active');
    return { ...it, pages: await it.source.openPages(0) };
  }
  const all = runFrame(FrameType.PAGES, PAGES, PAGES * pageBytes);
  const sync = control({ t: 'sync', n: 1 });

  test('is not had beyond what was agreed on', async () => {
    const { source } = await withPages();
    await expect(source.openPages(1)).rejects.toMatchObject({ code: 'ERR_REFUSED' });
  });

  test('holds back what follows on main until its own pages are in', async () => {
    const path = `${newFolder('/tmp')}/pages`; // a Unix socket tells when its bytes have been read
    const { destination, ram, source, pages } = await withPages({ type: 'unix', path });
    source.send(sync, device);
    await vi.waitUntil(() => unsentBytes(source.channel.descriptor) === 0, { timeout: 10_000 });
    await destination.info(); // what the reader has told by now has been heard
    writeSync(pages.descriptor, Buffer.concat([all, sync]));
    await source.hears('loaded'); // and not 'failed', for pages that have not arrived
    expect(pageOf(ram[0], PAGES - 1).every((byte) => byte === 0xff)).toBe(true);
  });

  const late = { PAGES: [all], ZERO: [allZero], 'a sync point out of turn': [sync] };
  test.each(Object.entries(late))(
    'that brings %s after the device state ends the link, and memory is as it was',
    async (_name, frames) => {
      const { destination, guest, ram, source, pages } = await withPages();
      writeSync(pages.descriptor, Buffer.concat([all, sync]));
      source.send(sync, device);
      await source.hears('loaded');
      writeSync(pages.descriptor, Buffer.concat(frames));
      await reaches(destination, 'postcopy-paused');
      expect(guest.running).toBe(false);
      expect(pageOf(ram[0], 0).every((byte) => byte === 0xff)).toBe(true);
    },
  );

  const foreign = {
    DEVICE: device,
    DISCARD: changes.DISCARD,
    'the order to run': control({ t: 'run', paused: false }),
  };
  test.each(Object.entries(foreign))(
    'that says what main says (%s) fails it',
    async (_name, frame) => {
      const { destination, guest, pages } = await withPages();
      writeSync(pages.descriptor, frame);
      await reaches(destination, 'failed');
      expect(guest.running).toBe(false);
    },
  );
});

describe('compressed pages', () => {
  const sync = control({ t: 'sync', n: 1 });
  const half = PAGES / 2;
  const deflated = (pages: number, byte: number): Uint8Array =>
    deflateSync(Buffer.alloc(pages * pageBytes, byte));

  /** Adopted, with one page channel. */
  async function withPages(compression: string | undefined, caps: readonly string[] = []) {
    const it = await listening();
    it.source.send(it.source.start(it.ram, ['multifd', ...caps], 1, compression));
    await reaches(it.destination, 'active');
    return { ...it, pages: await it.source.openPages(0) };
  }

  test('are taken on a page channel once that is agreed on', async () => {
    const { destination, ram, source, pages } = await withPages('zlib');
    const frames = [
      zlibFrame(0, half, deflated(half, 0xab)),
      zlibFrame(half, half, deflated(half, 1)),
    ];
    writeSync(pages.descriptor, Buffer.concat([...frames, sync]));
    source.send(sync, device);
    await source.hears('loaded');
    expect(pageOf(ram[0], half - 1).every((byte) => byte === 0xab)).toBe(true);
    for (const page of [half, PAGES - 1]) {
      expect(pageOf(ram[0], page).every((byte) => byte === 1)).toBe(true);
    }
    const { 'x-ram': received } = await destination.info();
    expect(received).toMatchObject({ 'received-pages': PAGES, 'normal-pages': PAGES });
  });

  test('are refused where nobody has agreed on them, and on the main channel', async () => {
    const frame = zlibFrame(0, PAGES, deflated(PAGES, 7));
    const unasked = await withPages(undefined);
    writeSync(unasked.pages.descriptor, frame);
    await reaches(unasked.destination, 'failed');
    expect(unasked.destination.error?.message).toContain('does not belong here (page channel)');
    const onMain = await withPages('zlib');
    onMain.source.send(frame);
    await reaches(onMain.destination, 'failed');
    expect(onMain.destination.error?.message).toContain('does not belong here (main channel)');
  });

  test('by a method that is not known here are refused by its name', async () => {
    const { destination, ram, source } = await listening();
    source.send(source.start(ram, ['multifd'], 1, 'zstd'));
    await source.hears('refused');
    await vi.waitFor(() => {
      const why = "multifd-compression 'zstd' is not supported here";
      expect(destination.error?.message).toContain(why);
    });
  });

  const whole = deflated(half, 3);
  const bad = {
    'that are cut off': whole.subarray(0, -1),
    'with a byte behind their end': Buffer.concat([whole, Buffer.of(0)]),
    'that are more than was announced': deflated(half + 1, 3),
    'that are less than was announced': deflated(half - 1, 3),
    'that are no stream at all': new Uint8Array(100).fill(0xff),
  } as const;
  test.skipIf(!probeHost().userfaultfd.available).each(Object.entries(bad))(
    '%s: none of them is placed, and the others are',
    async (_name, body) => {
      const { destination, ram, source, pages } = await withPages('zlib', ['postcopy-ram']);
      source.send(changes.DISCARD, control({ t: 'listen' }), device);
      await source.hears('loaded');
      source.send(control({ t: 'run', paused: true }));
      await source.hears('running');
      const frames = [zlibFrame(0, half, whole), zlibFrame(half, half, body)];
      writeSync(pages.descriptor, Buffer.concat(frames));
      await reaches(destination, 'postcopy-paused');
      expect(destination.error?.message).toContain('compressed pages');
      const { 'x-ram': received } = await destination.info();
      expect(received?.['received-pages']).toBe(half);
      // A page that is missing must not be touched from here: nobody would bring it.
      for (const page of [0, half - 1]) {
        expect(pageOf(ram[0], page).every((byte) => byte === 3)).toBe(true);
      }
    },
  );
});

test('a precopy with a page missing is refused before the guest could run', async () => {
  const { destination, guest, ram, source } = await listening();
  source.send(source.start(ram));
  await reaches(destination, 'active');
  source.send(runFrame(FrameType.ZERO, PAGES - 1, 0), device, control({ t: 'run', paused: false }));
  await reaches(destination, 'failed');
  expect(destination.error?.message).toContain('1 pages have not arrived');
  expect(guest.running).toBe(false);
});

test('of recoveries asked for at once one address is left, the last', async () => {
  const { destination, ram, source } = await listening();
  source.send(source.start(ram));
  await reaches(destination, 'active');
  source.send(allZero, device);
  await source.hears('loaded');
  source.channel.shutdown();
  await reaches(destination, 'postcopy-paused');
  const addresses = await Promise.all(
    [1, 2, 3].map(async () => await destination.recoverAt(anyPort)),
  );
  for (const address of addresses.slice(0, -1)) {
    await expect(HandMadeSource.open(address)).rejects.toMatchObject({ code: 'ERR_CONNECT' });
  }
  await expect(HandMadeSource.open(addresses.at(-1) as Address)).rejects.toMatchObject({
    code: 'ERR_REFUSED', // it answers, and knows no such session
  });
});

/** A promise that the test keeps. */
function newDeferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((keep) => {
    resolve = keep;
  });
  return { promise, resolve };
}
