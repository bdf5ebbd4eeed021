import { createHash } from 'node:crypto';
import { BlockBytes } from './block-bytes.ts';
import type { PageBitmap } from './page-bitmap.ts';
import type { RamBlock } from './ram-block.ts';

/** Pages that are summed up together: enough for the processor to be fast at it. */
const PAGES_PER_SUM = 256;

/**
 * Of each block: SHA-256 over the CRC-32 of each 256 pages, little-endian, the last sum perhaps of fewer
 * (docs/PROTOCOL.md, section 4). It shows what was damaged, lost or misplaced, not what somebody forged.
 *
 * For a thread that may touch every page, of a guest that stands still.
 *
 * @param present pages that exist; the others are zero and not read. Left out, all are read.
 */
export function ramDigests(
  blocks: readonly RamBlock[],
  present?: readonly PageBitmap[],
): Uint8Array[] {
  return blocks.map((block, i) => digestOf(block, present?.[i]));
}

function digestOf(block: RamBlock, present: PageBitmap | undefined): Uint8Array {
  const bytes = new BlockBytes(block);
  const pages = block.byteLength / block.pageBytes;
  const sums = new DataView(new ArrayBuffer(Math.ceil(pages / PAGES_PER_SUM) * 4));
  let zeroSum: number | undefined;
  for (let first = 0, at = 0; first < pages; first += PAGES_PER_SUM, at += 4) {
    const count = Math.min(PAGES_PER_SUM, pages - first);
    const isAbsent = present !== undefined && present.next(first, first + count) < 0;
    if (isAbsent && zeroSum !== undefined && count === PAGES_PER_SUM) {
      sums.setUint32(at, zeroSum, true);
      continue;
    }
    const sum = bytes.checksum(first, count);
    if (isAbsent && count === PAGES_PER_SUM) zeroSum = sum;
    sums.setUint32(at, sum, true);
  }
  return createHash('sha256').update(sums).digest();
}
