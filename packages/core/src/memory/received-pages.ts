import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { ReceivedProof } from '@godwit/transport';
import { PageBitmap } from './page-bitmap.ts';
import { memoryModeOf } from './portable-ram.ts';
import type { PortableTables } from './portable-tables.ts';
import type { RamBlock } from './ram-block.ts';

export interface ReceivedBuffers {
  readonly bitmaps: readonly SharedArrayBuffer[];
  readonly total: SharedArrayBuffer;
}

/**
 * Which pages the destination has, of all blocks; shared by its threads.
 *
 * A page is added only after its content is in place. Hence, for whoever finds a page received and
 * yet not there: it is zero, and was never touched.
 */
export class ReceivedPages {
  readonly bitmaps: readonly PageBitmap[];
  readonly pagesTotal: number;
  readonly #count: Int32Array;

  constructor(blockPages: readonly number[], shared?: ReceivedBuffers) {
    this.bitmaps = blockPages.map((pages, i) => new PageBitmap(pages, shared?.bitmaps[i]));
    this.pagesTotal = blockPages.reduce((sum, pages) => sum + pages, 0);
    this.#count = new Int32Array(shared?.total ?? new SharedArrayBuffer(4));
  }

  get buffers(): ReceivedBuffers {
    return {
      bitmaps: this.bitmaps.map((bitmap) => bitmap.buffer),
      total: this.#count.buffer as SharedArrayBuffer,
    };
  }

  get count(): number {
    return Atomics.load(this.#count, 0);
  }

  get isComplete(): boolean {
    return this.count === this.pagesTotal;
  }

  /** @returns whether this call made the set complete: true for exactly one caller. */
  addRun(block: number, first: number, count: number): boolean {
    const added = (this.bitmaps[block] as PageBitmap).addRun(first, count);
    return added > 0 && Atomics.add(this.#count, 0, added) + added === this.pagesTotal;
  }

  removeRun(block: number, first: number, count: number): void {
    Atomics.sub(this.#count, 0, (this.bitmaps[block] as PageBitmap).takeRun(first, count));
  }

  /** As an earlier process has left them: one bit per page of the block, none of which is here yet. */
  restore(block: number, bytes: Uint8Array): void {
    const bitmap = this.bitmaps[block] as PageBitmap;
    assert.equal(bytes.byteLength, Math.ceil(bitmap.pages / 8));
    new Uint8Array(bitmap.buffer).set(bytes);
    Atomics.add(this.#count, 0, bitmap.count());
  }

  /** While nothing is added or removed. */
  proof(): ReceivedProof {
    return proofOf(this.bitmaps);
  }
}

/**
 * None of a guest that is to arrive. In portable mode the guest itself looks at these bitmaps, which are
 * its RAM's: it must stand still, and can touch nothing until it has arrived.
 *
 * @throws {MigrationError} `ERR_ARGUMENT`: the blocks do not belong together.
 */
export function newReceivedPages(blocks: readonly RamBlock[]): ReceivedPages {
  const blockPages = blocks.map((block) => block.byteLength / block.pageBytes);
  if (memoryModeOf(blocks) === 'userfault') return new ReceivedPages(blockPages);
  const bitmaps = blocks.map(({ portable }) => (portable as PortableTables).received);
  const pages = new ReceivedPages(blockPages, { bitmaps, total: new SharedArrayBuffer(4) });
  for (const bitmap of pages.bitmaps) bitmap.clear();
  return pages;
}

/** Count and digest, as both sides compute them (docs/PROTOCOL.md, section 4). */
export function proofOf(bitmaps: readonly PageBitmap[]): ReceivedProof {
  const hash = createHash('sha256');
  let pages = 0;
  for (const bitmap of bitmaps) {
    hash.update(bitmap.toBytes());
    pages += bitmap.count();
  }
  return { pages, digest: hash.digest() };
}

export function isSameReceived(a: ReceivedProof, b: ReceivedProof): boolean {
  return a.pages === b.pages && Buffer.from(a.digest).equals(b.digest);
}

/** What is received when `missing` is all that is not. */
export function complementOf(missing: readonly PageBitmap[]): PageBitmap[] {
  return missing.map((bitmap) => {
    const others = new PageBitmap(bitmap.pages);
    others.assignComplement(bitmap);
    return others;
  });
}
