/** A huge page's worth of 4 KiB pages: two senders do not meet in one. */
const CHUNK_PAGES = 512;

export interface RamChunk {
  readonly block: number;
  readonly firstPage: number;
  /** The page after the last. */
  readonly limit: number;
}

/** Guest RAM cut into parts that several threads take one after the other. */
export class RamChunks {
  readonly #blockPages: readonly number[];

  constructor(blockPages: readonly number[]) {
    this.#blockPages = blockPages;
  }

  /** @returns the chunk of this number, counted through all blocks; nothing past the last. */
  locate(chunk: number): RamChunk | undefined {
    let index = chunk;
    for (const [block, pages] of this.#blockPages.entries()) {
      const chunks = Math.ceil(pages / CHUNK_PAGES);
      if (index < chunks) {
        const firstPage = index * CHUNK_PAGES;
        return { block, firstPage, limit: Math.min(firstPage + CHUNK_PAGES, pages) };
      }
      index -= chunks;
    }
    return undefined;
  }
}
