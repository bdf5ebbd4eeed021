import { createHash } from 'node:crypto';
import { type Address, encodeControl, Listener, type Session } from '@godwit/transport';
import type { SourceMigration } from '@godwit/core';
import { blockPages } from './guarded-ram.ts';
import { socketOf } from './hostile-links.ts';
import { WireCutter } from './wire-cutter.ts';

/**
 * A source that handed its guest over waits for ever for its destination: that is its promise. Where that
 * destination was never, we are one that has everything, so that the source comes to its end.
 */
export async function completeInstead(
  source: SourceMigration,
  path: string,
  session: Session,
): Promise<void> {
  const address: Address = { type: 'unix', path };
  const listener = await Listener.open(address, {
    timeoutMillis: 10_000,
    admit: (hello) => ({ session, epoch: hello.epoch }),
    onChannel: (channel) => {
      const socket = socketOf(channel);
      socket.on('error', () => undefined);
      const cutter = new WireCutter('to-destination');
      cutter.push(Buffer.alloc(96));
      socket.on('data', (chunk: Buffer) => {
        if (!cutter.push(chunk).some(({ name }) => name === 'recover')) return;
        socket.write(encodeControl({ t: 'recovering', phase: 'complete', ...everything() }));
      });
    },
  });
  try {
    source.resume(address);
    await source.ended;
  } finally {
    await listener.close();
  }
}

function everything(): { pages: number; digest: Uint8Array } {
  const hash = createHash('sha256');
  for (const pages of blockPages) {
    const bitmap = Buffer.alloc(Math.ceil(pages / 8), 0xff);
    if (pages % 8 !== 0) bitmap[bitmap.byteLength - 1] = (1 << (pages % 8)) - 1;
    hash.update(bitmap);
  }
  return { pages: blockPages.reduce((sum, pages) => sum + pages, 0), digest: hash.digest() };
}
