import assert from 'node:assert/strict';

import type { RamBlock } from '@godwit/core';
import { RamAccess } from '@godwit/core/ram-access'; // in each vCPU's thread: not all of the engine
import { viewMemory } from '@godwit/posix';

/** The dummy guest's own page, whatever pages its RAM is backed by. */
export const PAGE_BYTES = 4096;

export const PAGE_WORDS = PAGE_BYTES / 4;

/** A view of more than about 4 GiB kills the process; 1 GiB also keeps word offsets in 31 bits. */
export const SEGMENT_BYTES_MAX = 2 ** 30;

/** Keeps the device state, which names them all, small. */
export const BLOCK_COUNT_MAX = 128;

/** A run of pages `firstPage` to `endPage` (exclusive) in one array. */
export interface Segment {
  /** Signed, since the optimised 32-bit arithmetic of V8 is. */
  readonly words: Int32Array;
  readonly firstPage: number;
  readonly endPage: number;
  readonly blockId: string;
  /** The page of the block that `firstPage` is. */
  readonly firstPageInBlock: number;
  /** Of portable memory: to be asked before each access, and told of each store. */
  readonly access?: RamAccess;
}

/** The blocks of a guest as one run of pages, counted through the blocks in their order. */
export interface MemoryPages {
  readonly pageCount: number;
  /** In the order of their pages, without gaps. */
  readonly segments: readonly Segment[];
}

/**
 * Maps nothing and touches nothing: RAM must stay mapped for as long as the views are used.
 *
 * @param view replaced by tests, which have no RAM to map.
 */
export function openMemoryPages(
  blocks: readonly RamBlock[],
  view: (address: number, byteLength: number) => ArrayBuffer = viewMemory,
  segmentBytesMax: number = SEGMENT_BYTES_MAX,
): MemoryPages {
  const segments: Segment[] = [];
  let pageCount = 0;
  for (const block of blocks) {
    const access = block.portable === undefined ? {} : { access: new RamAccess(block) };
    for (let offset = 0; offset < block.byteLength; offset += segmentBytesMax) {
      const byteLength = Math.min(segmentBytesMax, block.byteLength - offset);
      const firstPage = pageCount;
      pageCount += byteLength / PAGE_BYTES;
      segments.push({
        words: new Int32Array(view(block.address + offset, byteLength)),
        firstPage,
        endPage: pageCount,
        blockId: block.id,
        firstPageInBlock: offset / PAGE_BYTES,
        ...access,
      });
    }
  }
  return { pageCount, segments };
}

/**
 * Waits, in portable memory, until every page is here; elsewhere whoever touches one waits for it.
 *
 * @throws {MigrationError} `ERR_PAGE_LOST`: one is missing and nobody brings it.
 */
export function ensureAll({ segments }: MemoryPages): void {
  for (const { access, firstPage, endPage, firstPageInBlock } of segments) {
    const endInBlock = firstPageInBlock + endPage - firstPage;
    for (let page = firstPageInBlock; page < endInBlock; page += 1) access?.ensure(page);
  }
}

/** @throws {RangeError} when a block is not made of whole pages, or there are too many blocks. */
export function countPages(blocks: readonly Pick<RamBlock, 'id' | 'byteLength'>[]): number {
  if (blocks.length > BLOCK_COUNT_MAX) {
    throw new RangeError(`${blocks.length} RAM blocks, the limit is ${BLOCK_COUNT_MAX}`);
  }
  let pageCount = 0;
  for (const { id, byteLength } of blocks) {
    if (byteLength <= 0 || byteLength % PAGE_BYTES !== 0) {
      throw new RangeError(
        `RAM block ${id} is ${byteLength} bytes, not a multiple of ${PAGE_BYTES}`,
      );
    }
    pageCount += byteLength / PAGE_BYTES;
  }
  return pageCount;
}

/**
 * The index of the segment that holds `page`. It walks from the segment `near`: callers pass the
 * answer they had last, and a guest has few segments.
 */
export function findSegment(segments: readonly Segment[], page: number, near: number): number {
  let index = near;
  while (page < (segments[index] as Segment).firstPage) index -= 1; // a page below 0 throws
  while (page >= (segments[index] as Segment).endPage) index += 1; // so does one past the end
  return index;
}

/** The segment of `page`; for callers that are in no hurry. */
export function segmentOf(memory: MemoryPages, page: number): Segment {
  const segment = memory.segments[findSegment(memory.segments, page, 0)];
  assert(segment !== undefined);
  return segment;
}
