import {
  type Address,
  type Channel,
  type ControlType,
  controlTypes,
  encodeControl,
  encodeFrameHeader,
  FRAME_HEADER_BYTES,
  FrameType,
  Listener,
  sealFrame,
} from '@godwit/transport';
import { writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { type Capabilities, capabilityDefaults } from '../src/capabilities.ts';
import { PageBitmap } from '../src/memory/page-bitmap.ts';
import { proofOf } from '../src/memory/received-pages.ts';
import { ControlInbox } from '../src/migration/control-inbox.ts';
import { SourceMigration } from '../src/migration/source.ts';
import { parameters, QuietGuest, readSome } from './hand-made-peer.ts';
import { frameOf, sampleOf } from './messages-out-of-state.ts';
import { newFolder, realRam } from './real-ram.ts';

/*
 * A destination that speaks well, but not when it should. Whatever it says, the guest is the source's
 * until the order to run, and never again after it.
 */

const PAGES = 64;
const patient = { ...parameters, 'x-handshake-timeout': 30_000 };
/** What is kept until it is asked for, or counts whenever it comes. */
const keptForLater = new Set<ControlType>(['complete', 'switchover-ack']);

/** A source that migrates to whoever `serve` is, link after link. */
async function migrating(
  serve: (channel: Channel) => Promise<void>,
  wanted: Partial<Capabilities> = {},
) {
  const guest = new QuietGuest(realRam([PAGES]), true);
  const path = `${newFolder('/tmp')}/fuzz`;
  let session: { migrationId: Uint8Array; secret: Uint8Array } | undefined;
  const listener = await Listener.open(
    { type: 'unix', path },
    {
      timeoutMillis: 30_000,
      admit: (hello) => {
        session ??= { migrationId: hello.migrationId, secret: hello.proof };
        return { session, epoch: hello.epoch };
      },
      onChannel: (channel) => {
        onTestFinished(() => channel.close());
        void serve(channel).catch(() => undefined); // the source has left: that is what is waited for
      },
    },
  );
  onTestFinished(async () => await listener.close());
  const address: Address = { type: 'unix', path };
  const source = new SourceMigration(guest, {
    capabilities: { ...capabilityDefaults, ...wanted },
    parameters: patient,
  });
  return { source, guest, address };
}

function say(channel: Channel, ...frames: readonly Uint8Array[]): void {
  writeSync(channel.descriptor, Buffer.concat(frames));
}

async function hears(channel: Channel, word: string): Promise<void> {
  for (let heard = ''; !heard.includes(word);) heard += await readSome(channel);
}

function proofOfAll() {
  const all = new PageBitmap(PAGES);
  all.fill();
  return proofOf([all]);
}

describe('instead of an answer to start', () => {
  const words = ['loaded', 'start', 'resumed', 'refused'] as const;
  const bad = {
    ...Object.fromEntries(words.map((type) => [type, sampleOf(type)])),
    'a frame of pages': frameOf(FrameType.PAGES, PAGES),
    'device state': frameOf(FrameType.DEVICE, PAGES),
    'a received bitmap': frameOf(FrameType.RECV_BITMAP, PAGES),
  };

  test.each(Object.entries(bad))(
    '%s ends the migration, and the guest runs on here',
    async (_name, frame) => {
      const { source, guest, address } = await migrating(async (channel) => {
        await hears(channel, 'start');
        say(channel, frame);
        for (;;) await readSome(channel);
      });
      source.start(address);
      await source.ended;
      expect(source.status).toBe('failed');
      expect(source.error?.message).toMatch(
        /where 'started' was expected|here \(return path\)|nobody asked for|the destination: so/,
      );
      expect(guest.running).toBe(true);
    },
  );
});

test('after the order to run, and at the beginning of each recovery, nothing gives the guest back', async () => {
  const proof = proofOfAll();
  const bad = controlTypes.filter((type) => type !== 'recovering' && !keptForLater.has(type));
  let link = 0;
  const { source, guest, address } = await migrating(async (channel) => {
    const type = bad[link - 1];
    link += 1;
    if (channel.epoch === 0) {
      await hears(channel, 'start');
      say(channel, encodeControl({ t: 'started' }), encodeControl({ t: 'loaded', ...proof }));
      await hears(channel, 'paused'); // of `run`
      say(channel, sampleOf('started'));
    } else if (type !== undefined) {
      await hears(channel, 'recover');
      say(channel, sampleOf(type));
    } else {
      await hears(channel, 'recover');
      say(channel, encodeControl({ t: 'recovering', phase: 'complete', ...proof }));
    }
    for (;;) await readSome(channel);
  });
  const errors: string[] = [];
  source.on('status', (status) => {
    if (status !== 'postcopy-paused') return;
    errors.push(source.error?.message ?? '');
    setImmediate(() => source.resume(address));
  });
  source.start(address);
  await source.ended;
  expect(source.status).toBe('completed'); // the last one has everything
  expect(guest.running).toBe(false);
  expect(errors).toHaveLength(bad.length + 1);
  const refusal = /where '(running|recovering)' was expected|the destination: so/;
  expect(errors.filter((error) => !refusal.test(error))).toEqual([]);
});

test.each([...keptForLater])('%s a second time is refused', (type) => {
  const inbox = new ControlInbox();
  const message =
    type === 'complete'
      ? ({ t: type, ...proofOfAll() } as const)
      : ({ t: 'switchover-ack' } as const);
  inbox.push(message);
  expect(() => inbox.push(message)).toThrow(`'${type}' came twice`);
});

/** Writes it without end, on a thread of its own. @returns how many bytes have been taken so far. */
function flood({ descriptor }: Channel, bytes: Uint8Array): () => number {
  const taken = new BigInt64Array(new SharedArrayBuffer(8));
  const script = `
    const { writeSync } = require('node:fs');
    const { descriptor, bytes, taken } = require('node:worker_threads').workerData;
    try {
      for (;;) Atomics.add(taken, 0, BigInt(writeSync(descriptor, bytes)));
    } catch {
      // the source has left
    }`;
  const worker = new Worker(script, { eval: true, workerData: { descriptor, bytes, taken } });
  onTestFinished(async () => void (await worker.terminate()));
  return () => Number(Atomics.load(taken, 0));
}

test('pages said to be damaged, without end, fill their own socket and not our memory', async () => {
  const resend = new Uint8Array(FRAME_HEADER_BYTES);
  encodeFrameHeader(new DataView(resend.buffer), 0, FrameType.RESEND, 0, 0, 1, 0);
  sealFrame(resend);
  let taken: (() => number) | undefined;
  const { source, address } = await migrating(
    async (channel) => {
      await hears(channel, 'start');
      say(channel, encodeControl({ t: 'started' }));
      taken = flood(channel, Buffer.concat(Array.from({ length: 1000 }, () => resend)));
      for (;;) await readSome(channel);
    },
    { 'x-checksum': true },
  );
  source.start(address);
  await vi.waitUntil(() => (taken?.() ?? 0) > 0, { timeout: 20_000 });
  // Nobody takes what the return path tells: this thread is held up.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
  const before = taken?.() ?? 0;
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
  expect((taken?.() ?? 0) - before).toBe(0);
  source.cancel();
  await source.ended;
});
