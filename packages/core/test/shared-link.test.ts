import { writeSync } from 'node:fs';
import { pageBytes } from '@godwit/posix';
import {
  type Address,
  type Channel,
  type ControlMessage,
  decodeControl,
  encodeControl,
  encodeFrameHeader,
  FRAME_HEADER_BYTES,
  FrameType,
  Listener,
} from '@godwit/transport';
import { expect, onTestFinished, test, vi } from 'vitest';
import { capabilityDefaults } from '../src/capabilities.ts';
import { PageBitmap } from '../src/memory/page-bitmap.ts';
import { proofOf } from '../src/memory/received-pages.ts';
import { SourceMigration } from '../src/migration/source.ts';
import { FrameStream } from './frame-stream.ts';
import { parameters, QuietGuest } from './hand-made-peer.ts';
import { bytesOf, realRam } from './real-ram.ts';

/** 64 MiB: far more than sockets grow to hold. */
const PAGES = 16_384;
/**
 * A batch, what is unsent, and what the destination's socket holds. Sockets that grow by themselves
 * hold several times as much on loopback.
 */
const IN_FRONT_BYTES_MAX = (128 + 128 + 512) * 1024;

const WAITING = { timeout: 20_000, interval: 100 };

test('without an urgent channel a requested page waits behind a bounded part of the bulk', async () => {
  const ram = realRam([PAGES]);
  bytesOf(ram[0]).fill(7);
  const { address, opened } = await listen();
  const source = new SourceMigration(new QuietGuest(ram, true), {
    capabilities: { ...capabilityDefaults, 'postcopy-ram': true, 'postcopy-preempt': false },
    parameters: { ...parameters, 'x-handshake-timeout': 5000 },
  });
  source.start(address);
  source.startPostcopy();

  const channel = await opened;
  const stream = new FrameStream(channel.descriptor, [PAGES]);
  await agree(channel, stream);
  channel.limitUnread(256 * 1024); // as a destination does
  say(channel, { t: 'running' });
  await untilStalled(source);
  request(channel, PAGES - 1);
  await vi.waitUntil(() => source.info().ram?.['postcopy-requests'] === 1, WAITING);
  let bytes = 0;
  for (;;) {
    const { header } = await stream.next();
    if (header.type === FrameType.PAGES && header.firstPage === PAGES - 1) break;
    bytes += FRAME_HEADER_BYTES + header.bodyBytes;
  }
  expect(bytes).toBeLessThanOrEqual(IN_FRONT_BYTES_MAX);
  source.pause();
  channel.close();
});

/** @returns where, and the first connection that comes in. */
async function listen(): Promise<{ readonly address: Address; readonly opened: Promise<Channel> }> {
  let onChannel: (channel: Channel) => void = () => undefined;
  const opened = new Promise<Channel>((resolve) => {
    onChannel = resolve;
  });
  const listener = await Listener.open(
    { type: 'tcp', host: '127.0.0.1', port: 0 },
    {
      timeoutMillis: 5000,
      admit: ({ migrationId, proof }) => ({ session: { migrationId, secret: proof }, epoch: 0 }),
      onChannel: (channel) => onChannel(channel),
    },
  );
  onTestFinished(async () => await listener.close());
  return { address: listener.address, opened };
}

/** Plays a destination that has received nothing, up to the order to run. */
async function agree(channel: Channel, stream: FrameStream): Promise<void> {
  for (;;) {
    const { header, body } = await stream.next();
    if (header.type === FrameType.DEVICE) {
      say(channel, { t: 'loaded', ...proofOf([new PageBitmap(PAGES)]) });
    }
    if (header.type !== FrameType.CONTROL) continue;
    const { t } = decodeControl(body);
    if (t === 'start') say(channel, { t: 'started' });
    if (t === 'flush') say(channel, { t: 'flushed' });
    if (t === 'run') return;
  }
}

function say(channel: Channel, message: ControlMessage): void {
  writeSync(channel.descriptor, encodeControl(message));
}

function request(channel: Channel, page: number): void {
  const frame = new Uint8Array(FRAME_HEADER_BYTES);
  encodeFrameHeader(new DataView(frame.buffer), 0, FrameType.REQUEST, 0, page, 1, 0);
  writeSync(channel.descriptor, frame);
}

/** Nobody reads: sooner or later nothing more is taken. */
async function untilStalled(source: SourceMigration): Promise<void> {
  let before = -1;
  await vi.waitUntil(() => {
    const { transferred } = source.info().ram ?? { transferred: 0 };
    const isStalled = transferred > pageBytes && transferred === before;
    before = transferred;
    return isStalled;
  }, WAITING);
}
