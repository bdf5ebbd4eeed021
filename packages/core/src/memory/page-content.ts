import { viewMemory } from '@godwit/posix';
import type { RamBlock } from './ram-block.ts';

/** Views of more than about 4 GiB end the process; a segment is a multiple of any page size. */
const SEGMENT_BYTES = 2 ** 30;

/** Looks at the content of a block's pages; for the thread that sends them, never one that serves faults. */
export class PageContent {
  readonly #segments: readonly Uint32Array[];
  readonly #pageWords: number;
  readonly #segmentPages: number;

  constructor(block: RamBlock) {
    const segments: Uint32Array[] = [];
    for (let at = 0; at < block.byteLength; at += SEGMENT_BYTES) {
      const bytes = Math.min(SEGMENT_BYTES, block.byteLength - at);
      segments.push(new Uint32Array(viewMemory(block.address + at, bytes)));
    }
    this.#segments = segments;
    this.#pageWords = block.pageBytes / 4;
    this.#segmentPages = SEGMENT_BYTES / block.pageBytes;
  }

  /** A page that is not zero is mostly known by its first or last word. */
  isZero(page: number): boolean {
    const words = this.#segments[Math.floor(page / this.#segmentPages)] as Uint32Array;
    const start = (page % this.#segmentPages) * this.#pageWords;
    const end = start + this.#pageWords;
    if (words[start] !== 0 || words[end - 1] !== 0) return false;
    let seen = 0;
    for (let i = start; i < end && seen === 0; i += 8) {
      seen =
        (words[i] as number) |
        (words[i + 1] as number) |
        (words[i + 2] as number) |
        (words[i + 3] as number) |
        (words[i + 4] as number) |
        (words[i + 5] as number) |
        (words[i + 6] as number) |
        (words[i + 7] as number);
    }
    return seen === 0;
  }
}
