import type { PageBitmap } from '../memory/page-bitmap.ts';

/** Sequences followed at once, about one a vCPU; the one least recently continued is forgotten. */
const STREAMS = 8;
/** What the first sign of a sequence is worth, and what no sequence is worth more than. */
const GROWN_PAGES_MIN = 4;
export const WINDOW_PAGES_MAX = 128;
/** What a new sequence starts with at most, after many that went on. */
const START_PAGES_MAX = 8;
/** A sequence may pass over so many pages that are there already. */
const GAP_PAGES_MAX = 64;

/** A sequence of requests. */
interface Stream {
  block: number;
  /** Its last request. */
  requested: number;
  /** Neighbours from here up to `end` are still to be sent. */
  at: number;
  end: number;
  /** Pages of the last window. */
  size: number;
}

/**
 * Which neighbours of a requested page are worth sending after it. A guest that goes on in order asks
 * next for the page after the window it was sent, or for one of its last before they have arrived:
 * then the window doubles. A request from anywhere else begins a sequence of its own, whose first
 * window is half of what the one before began with, so nothing after a few. Each sequence that goes
 * on doubles this beginning again.
 *
 * Several vCPUs have a sequence each. One thread uses this, and nothing in it allocates.
 */
export class PrefetchWindow {
  /** Requests that continued a sequence, and those that began one. */
  hits = 0;
  misses = 0;
  /** What `findChunk` has found. */
  chunkBlock = 0;
  chunkPage = 0;
  readonly #missing: readonly PageBitmap[];
  /** The one continued last comes first. */
  readonly #streams: Stream[];
  #startPages = 0;

  /** @param missing the pages that the destination lacks and that nobody has sent, of each block. */
  constructor(missing: readonly PageBitmap[]) {
    this.#missing = missing;
    this.#streams = Array.from({ length: STREAMS }, newStream);
  }

  /** A page was asked for; it exists. */
  note(block: number, page: number): void {
    for (let index = 0; index < STREAMS; index++) {
      const stream = this.#streams[index] as Stream;
      if (!this.#continues(stream, block, page)) continue;
      this.#moveToFront(index);
      if (page >= stream.end - stream.size / 2) this.#grow(stream, page);
      return;
    }
    this.#begin(block, page);
  }

  /**
   * Finds neighbours to send, of the sequence continued last that has any. They are found again until
   * they are no longer missing.
   *
   * @returns how many pages of `chunkBlock` from `chunkPage` on, the first of them missing; or 0.
   */
  findChunk(pagesMax: number): number {
    for (let index = 0; index < STREAMS; index++) {
      const stream = this.#streams[index] as Stream;
      if (stream.at >= stream.end) continue;
      const first = (this.#missing[stream.block] as PageBitmap).next(stream.at, stream.end);
      stream.at = first < 0 ? stream.end : first;
      if (first < 0) continue;
      this.chunkBlock = stream.block;
      this.chunkPage = first;
      return Math.min(pagesMax, stream.end - first);
    }
    return 0;
  }

  /** Forgets every sequence: the link is another one now. */
  clear(): void {
    for (const stream of this.#streams) Object.assign(stream, newStream());
    this.#startPages = 0;
  }

  /** Within the last window, or after it with nothing missing in between. */
  #continues(stream: Stream, block: number, page: number): boolean {
    if (stream.block !== block || page < stream.requested) return false;
    if (page <= stream.end) return true;
    if (page - stream.end > GAP_PAGES_MAX) return false;
    return (this.#missing[block] as PageBitmap).next(stream.end, page) < 0;
  }

  #grow(stream: Stream, page: number): void {
    this.hits += 1;
    this.#startPages = Math.min(START_PAGES_MAX, Math.max(1, this.#startPages * 2));
    const { pages } = this.#missing[stream.block] as PageBitmap;
    stream.size = Math.min(WINDOW_PAGES_MAX, Math.max(GROWN_PAGES_MIN, stream.size * 2));
    stream.requested = page;
    if (stream.at === stream.end) stream.at = Math.max(page + 1, stream.end);
    stream.end = Math.min(pages, Math.max(page + 1, stream.end) + stream.size);
  }

  #begin(block: number, page: number): void {
    this.misses += 1;
    this.#moveToFront(STREAMS - 1);
    const { pages } = this.#missing[block] as PageBitmap;
    const stream = this.#streams[0] as Stream;
    stream.block = block;
    stream.requested = page;
    stream.size = this.#startPages;
    stream.at = page + 1;
    stream.end = Math.min(pages, page + 1 + stream.size);
    this.#startPages >>= 1;
  }

  #moveToFront(index: number): void {
    const streams = this.#streams;
    const stream = streams[index] as Stream;
    for (let at = index; at > 0; at--) streams[at] = streams[at - 1] as Stream;
    streams[0] = stream;
  }
}

function newStream(): Stream {
  return { block: -1, requested: 0, at: 0, end: 0, size: 0 };
}
