import { allocateRam, type RamBlock } from '@godwit/core';
import { mapAnonymous, unmap } from '@godwit/posix';
import { setTimeout as after } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { DummyGuest, type DummyGuestOptions } from '../src/dummy-guest.ts';
import { PAGE_BYTES } from '../src/pages/memory-pages.ts';

/** Two blocks of anonymous memory, 256 pages and 7 unless told, mapped until the test ends. */
export function realRam(pages: readonly number[] = [256, 7]): readonly RamBlock[] {
  return pages.map((count, index) => {
    const byteLength = count * PAGE_BYTES;
    const address = mapAnonymous(byteLength);
    onTestFinished(() => unmap(address, byteLength));
    return { id: `ram${index}`, byteLength, pageBytes: PAGE_BYTES, address, backing: 'anon' };
  });
}

/** Blocks of so many pages each, of portable memory, until the test ends. */
export function portableRam(pages: readonly number[]): readonly RamBlock[] {
  const specs = pages.map((count, index) => ({
    id: `ram${index}`,
    byteLength: count * PAGE_BYTES,
  }));
  const ram = allocateRam(specs, 'anon', 'portable');
  onTestFinished(() => ram[Symbol.dispose]());
  return ram.blocks;
}

/** A guest that is closed when the test ends, before its RAM is unmapped. */
export async function realGuest(options: Partial<DummyGuestOptions> = {}): Promise<DummyGuest> {
  const guest = await DummyGuest.create({ ram: realRam(), fillMemory: true, ...options });
  onTestFinished(() => guest.close());
  return guest;
}

/** Resolves once the guest has made so many steps more than now. */
export async function runSteps(guest: DummyGuest, count: number): Promise<void> {
  await reachSteps(guest, guest.stepsTotal + count);
}

/** Resolves once the guest has made so many steps since it began. */
export async function reachSteps(guest: DummyGuest, stepsTotal: number): Promise<void> {
  const limit = AbortSignal.timeout(20_000);
  while (guest.stepsTotal < stepsTotal) {
    limit.throwIfAborted();
    await after(1); // whoever turns in a circle here takes a processor from the vCPUs
  }
}
