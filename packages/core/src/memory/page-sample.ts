import { crc32 } from 'node:zlib';
import { viewMemory } from '@godwit/posix';
import type { PageBitmap } from './page-bitmap.ts';
import { PageContent } from './page-content.ts';
import type { RamBlock } from './ram-block.ts';

const GIB = 1024 ** 3;

/** QEMU leaves out blocks of less than 128 MiB; here a small guest must be measured too. */
const BLOCK_SAMPLE_PAGES_MIN = 128;

interface SampledPage {
  readonly block: number;
  readonly page: number;
  readonly hash: number;
}

/**
 * Some pages of guest RAM and what they held when they were looked at first. It reads them, so none
 * may be missing.
 *
 * @see QEMU migration/dirtyrate.c, record_ramblock_hash_info.
 */
export class PageSample {
  readonly #blocks: readonly RamBlock[];
  readonly #pages: readonly SampledPage[];

  /** Random pages, the same page perhaps twice: `pagesPerGiB` of each block, 128 at least. */
  constructor(blocks: readonly RamBlock[], pagesPerGiB: number) {
    this.#blocks = blocks;
    this.#pages = blocks.flatMap(({ byteLength, pageBytes }, block) => {
      const count = Math.max(Math.round((byteLength / GIB) * pagesPerGiB), BLOCK_SAMPLE_PAGES_MIN);
      return Array.from({ length: count }, () => {
        const page = Math.floor((Math.random() * byteLength) / pageBytes);
        return { block, page, hash: this.#hash(block, page) };
      });
    });
  }

  zeroShare(): number {
    const contents = this.#blocks.map((block) => new PageContent(block));
    const zero = this.#pages.filter(({ block, page }) => contents[block]?.isZero(page) === true);
    return zero.length / this.#pages.length;
  }

  /** @returns how many pages of all RAM hold something else now, as far as the sample tells. */
  changedPages(): number {
    let changed = 0;
    for (const [index, { byteLength, pageBytes }] of this.#blocks.entries()) {
      const own = this.#pages.filter(({ block }) => block === index);
      const now = own.filter(({ block, page, hash }) => this.#hash(block, page) !== hash);
      changed += (now.length / own.length) * (byteLength / pageBytes);
    }
    return Math.round(changed);
  }

  #hash(block: number, page: number): number {
    const { address, pageBytes } = this.#blocks[block] as RamBlock;
    return crc32(new Uint8Array(viewMemory(address + page * pageBytes, pageBytes)));
  }
}

/** @returns how many of the pages that are set are zero, 0 to 1; looks at `count`, spread evenly. */
export function zeroShareOf(
  blocks: readonly RamBlock[],
  pages: readonly PageBitmap[],
  count: number,
): number {
  const candidates = pages.reduce((total, bitmap) => total + bitmap.count(), 0);
  const step = Math.max(1, candidates / count);
  let [looked, zero, passed] = [0, 0, 0];
  for (const [block, bitmap] of pages.entries()) {
    const content = new PageContent(blocks[block] as RamBlock);
    bitmap.forEachRun((first, length) => {
      for (; Math.floor(looked * step) < passed + length; looked += 1) {
        if (content.isZero(first + Math.floor(looked * step) - passed)) zero += 1;
      }
      passed += length;
    });
  }
  return looked === 0 ? 0 : zero / looked;
}
