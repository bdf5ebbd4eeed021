import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { guestAddresses } from './boot-sector-listing.ts';
import type { QemuProcess } from './qemu-process.ts';
import { parseStalls, STALL_BUCKETS } from '../migrate/stalls.ts';

/**
 * Waits until the guest has filled its memory.
 *
 * @returns how many ticks its time stamp counter makes in a microsecond: from the guest's own notes of
 *   when it began and ended, and from when we heard of it.
 */
export async function untilFilled(qemu: QemuProcess, directory: string): Promise<number> {
  const beganMillis = await qemu.guestSaid('F');
  const endedMillis = await qemu.guestSaid('R');
  const notes = await guestMemory(qemu, directory, guestAddresses.filling, 16);
  const ticks = Number(notes.readBigUInt64LE(8) - notes.readBigUInt64LE(0));
  return ticks / ((endedMillis - beganMillis) * 1000);
}

/** The guest's histogram of how long its touches took; it should be stopped. */
export async function guestStalls(qemu: QemuProcess, directory: string): Promise<number[]> {
  return parseStalls(
    await guestMemory(qemu, directory, guestAddresses.histogram, STALL_BUCKETS * 4),
  );
}

async function guestMemory(
  qemu: QemuProcess,
  directory: string,
  address: number,
  byteLength: number,
): Promise<Buffer> {
  const filename = join(directory, `memory-${address.toString(16)}`);
  try {
    await qemu.execute('pmemsave', { val: address, size: byteLength, filename });
    return await readFile(filename);
  } finally {
    await rm(filename, { force: true });
  }
}
