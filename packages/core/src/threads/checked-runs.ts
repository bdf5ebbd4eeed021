import { ChannelError, checksumOf, type FrameHeader } from '@godwit/transport';
import { BlockBytes } from '../memory/block-bytes.ts';
import { discardPages } from '../memory/guest-ram.ts';
import type { PageBitmap } from '../memory/page-bitmap.ts';
import type { RamBlock } from '../memory/ram-block.ts';
import type { ReceivedPages } from '../memory/received-pages.ts';
import type { ReceiverCounters } from './counters.ts';
import { Placing } from './placing-gate.ts';

export interface CheckedRunTables {
  readonly blocks: readonly RamBlock[];
  readonly received: ReceivedPages;
  /** To be asked for again; shared with the other receivers and the fault thread. */
  readonly damaged: readonly PageBitmap[];
  readonly counters: ReceiverCounters;
}

/** Of one link and one channel: one that damages more is broken, and no better for asking again. */
export const DAMAGED_FRAMES_MAX = 256;

/**
 * Compares runs of pages with what was sent. One that differs has not arrived: none of its pages is
 * received, whatever was there before, until they come again.
 */
export class CheckedRuns {
  readonly #tables: CheckedRunTables;
  readonly #onDamaged: (header: FrameHeader) => void;
  readonly #bytes = new Map<number, BlockBytes>();
  #damagedFrames = 0;

  /** @param onDamaged the pages are in `damaged`: somebody must ask for them. */
  constructor(tables: CheckedRunTables, onDamaged: (header: FrameHeader) => void) {
    this.#tables = tables;
    this.#onDamaged = onDamaged;
  }

  /** The next link is read. */
  reset(): void {
    this.#damagedFrames = 0;
  }

  /**
   * Of a run that was read straight into the memory of a guest that does not run here.
   *
   * @throws {ChannelError} `ERR_CHECKSUM`: too many were damaged.
   */
  isIntactInMemory(header: FrameHeader): boolean {
    const { block, firstPage, pageCount } = header;
    const bytes = this.#bytesOf(block).checksum(firstPage, pageCount);
    if (bytes === header.checksum) return true;
    this.#lose(header, Placing.INTO_MEMORY);
    return false;
  }

  /** Of a body that was not put anywhere yet. @throws as above. */
  isIntact(header: FrameHeader, body: Uint8Array, placing: Placing): boolean {
    if (checksumOf(body) === header.checksum) return true;
    this.#lose(header, placing);
    return false;
  }

  #lose(header: FrameHeader, placing: Placing): void {
    const { blocks, received, damaged, counters } = this.#tables;
    const { block, firstPage, pageCount } = header;
    counters.add('damagedFrames', 1);
    counters.add('damagedPages', pageCount);
    if (placing === Placing.INTO_MEMORY) {
      received.removeRun(block, firstPage, pageCount);
      discardPages(blocks[block] as RamBlock, firstPage, pageCount);
    }
    (damaged[block] as PageBitmap).addRun(firstPage, pageCount);
    this.#onDamaged(header);
    this.#damagedFrames += 1;
    if (this.#damagedFrames <= DAMAGED_FRAMES_MAX) return;
    const what = `${this.#damagedFrames} frames of pages were damaged on this link`;
    throw new ChannelError('ERR_CHECKSUM', what);
  }

  #bytesOf(block: number): BlockBytes {
    const known = this.#bytes.get(block);
    if (known !== undefined) return known;
    const bytes = new BlockBytes(this.#tables.blocks[block] as RamBlock);
    this.#bytes.set(block, bytes);
    return bytes;
  }
}
