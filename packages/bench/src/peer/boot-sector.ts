import assert from 'node:assert/strict';

import { bootSectorListing, parameterOffsets } from './boot-sector-listing.ts';

export const SECTOR_BYTES = 512;
/** A floppy disk of 1.44 MB: a size that every firmware knows. */
export const FLOPPY_BYTES = 2880 * SECTOR_BYTES;

/** What the guest in QEMU can do; the words are those of our own guest. */
export const peerWorkloads = ['idle', 'sweep', 'random'] as const;
export type PeerWorkload = (typeof peerWorkloads)[number];

export interface BootPlan {
  readonly memoryBytes: number;
  readonly workload: PeerWorkload;
  /** Pages/s, whole thousands; 0 is unlimited. */
  readonly rate: number;
}

/** A disk whose first sector is the guest. */
export function bootImage(plan: BootPlan): Uint8Array {
  const image = new Uint8Array(FLOPPY_BYTES);
  image.set(bootSector(plan));
  return image;
}

export function bootSector({ memoryBytes, workload, rate }: BootPlan): Uint8Array {
  const sector = new Uint8Array(SECTOR_BYTES);
  const code = listedBytes(bootSectorListing);
  assert(code.length <= parameterOffsets.memoryEnd);
  sector.set(code);
  const view = new DataView(sector.buffer);
  const pageCount = (memoryBytes - FIRST_MIB_BYTES) / PAGE_BYTES;
  const { multiplier, increment } = pageSteps(workload, pageCount);
  const batch = rate === 0 ? UNLIMITED : rate / TICKS_PER_SECOND;
  view.setUint32(parameterOffsets.memoryEnd, memoryBytes, true);
  view.setUint32(parameterOffsets.pageCount, pageCount, true);
  view.setUint32(parameterOffsets.multiplier, multiplier, true);
  view.setUint32(parameterOffsets.increment, increment, true);
  view.setUint32(parameterOffsets.batch, workload === 'idle' ? 0 : batch, true);
  view.setUint16(SECTOR_BYTES - 2, BOOT_SIGNATURE, true);
  return sector;
}

/** The bytes of a listing. Offsets are there for the reader, and to notice a line that was lost. */
export function listedBytes(listing: string): Uint8Array {
  const bytes: number[] = [];
  for (const [, offset = '', hex = ''] of listing.matchAll(LISTED_LINE)) {
    assert.equal(Number.parseInt(offset, 16), bytes.length, `the listing skips to ${offset}`);
    bytes.push(
      ...hex
        .trim()
        .split(' ')
        .map((byte) => Number.parseInt(byte, 16)),
    );
  }
  return Uint8Array.from(bytes);
}

const LISTED_LINE = /^([0-9a-f]{4}) {2}((?:[0-9a-f]{2} )+)/gm;
const FIRST_MIB_BYTES = 2 ** 20;
const PAGE_BYTES = 4096;
const TICKS_PER_SECOND = 1000;
const BOOT_SIGNATURE = 0xaa55;
/** As many touches before the first tick is waited for as nobody lives to see. */
const UNLIMITED = 0xffff_ffff;

/** One generator for all: state := state * multiplier + increment; its upper bits are the page. */
function pageSteps(
  workload: PeerWorkload,
  pageCount: number,
): { multiplier: number; increment: number } {
  if (workload !== 'random') return { multiplier: 1, increment: Math.floor(2 ** 32 / pageCount) };
  return { multiplier: 1_664_525, increment: 1_013_904_223 }; // Numerical Recipes; full period
}
