import type { DirtyLog } from './dirty-log.ts';
import type { PageBitmap } from './page-bitmap.ts';
import { tableBitmap } from './portable-ram.ts';
import type { PortableTables } from './portable-tables.ts';
import type { RamBlock } from './ram-block.ts';

/**
 * What the guest's own threads have noted (`RamAccess.wrote`). They note always, migration or not: so the
 * pages that exist are known when one begins.
 */
export class PortableDirtyLog implements DirtyLog {
  readonly #written: readonly PageBitmap[];
  readonly #existing: readonly PageBitmap[];
  #synced = false;

  /** @param blocks of portable memory. */
  constructor(blocks: readonly RamBlock[]) {
    const bitmaps = (name: 'written' | 'existing'): PageBitmap[] =>
      blocks.map((block) => tableBitmap(block, (block.portable as PortableTables)[name]));
    this.#written = bitmaps('written');
    this.#existing = bitmaps('existing');
  }

  sync(dirty: readonly PageBitmap[], present: readonly PageBitmap[]): number {
    const added = this.collect(dirty, present);
    return this.#synced ? added : added + this.#addExisting(dirty, present);
  }

  /** To note anew costs nothing here. Why no write is lost: `RamAccess`. */
  collect(dirty: readonly PageBitmap[], present: readonly PageBitmap[]): number {
    let added = 0;
    for (const [block, written] of this.#written.entries()) {
      const { [block]: existing } = this.#existing;
      added += written.moveTo(dirty[block] as PageBitmap, present[block], existing);
    }
    return added;
  }

  writtenPages(): number {
    return this.#written.reduce((pages, bitmap) => pages + bitmap.count(), 0);
  }

  /** Nothing to let go of: the guest goes on noting. */
  [Symbol.dispose](): void {}

  /** What was written before this log was there: during an earlier one, or when pages arrived. */
  #addExisting(dirty: readonly PageBitmap[], present: readonly PageBitmap[]): number {
    this.#synced = true;
    let added = 0;
    for (const [block, existing] of this.#existing.entries()) {
      added += (dirty[block] as PageBitmap).addAll(existing);
      (present[block] as PageBitmap).addAll(existing);
    }
    return added;
  }
}
