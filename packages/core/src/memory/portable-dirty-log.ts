import { MigrationError } from '../errors.ts';
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
  /** Of the blocks that are ours. */
  readonly #tracked: Int32Array[];
  #synced = false;

  /**
   * @param blocks of portable memory.
   * @throws {MigrationError} `ERR_SETUP`: they have another log. What one takes the other never sees.
   */
  constructor(blocks: readonly RamBlock[]) {
    const words = blocks.map(
      ({ portable }) => new Int32Array((portable as PortableTables).tracked),
    );
    this.#tracked = words.filter((word) => Atomics.compareExchange(word, 0, 0, 1) === 0);
    if (this.#tracked.length < words.length) {
      this[Symbol.dispose]();
      const message = 'writes to this RAM are noted already: EBUSY, as the kernel would say';
      throw new MigrationError('ERR_SETUP', message);
    }
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

  /** The guest goes on noting; another log may ask. */
  [Symbol.dispose](): void {
    for (const word of this.#tracked.splice(0)) Atomics.store(word, 0, 0);
  }

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
