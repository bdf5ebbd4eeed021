import { viewMemory } from '@godwit/posix';
import { checksumOf } from '@godwit/transport';
import type { RamBlock } from './ram-block.ts';

/** Views of more than about 4 GiB end the process; a segment is a multiple of any page size. */
const SEGMENT_BYTES = 2 ** 30;

/** The bytes of a block as they are, for threads that may touch all of its pages. */
export class BlockBytes {
  readonly #segments: readonly Uint8Array[];
  readonly #pageBytes: number;

  constructor({ address, byteLength, pageBytes }: RamBlock) {
    const segments: Uint8Array[] = [];
    for (let at = 0; at < byteLength; at += SEGMENT_BYTES) {
      const bytes = Math.min(SEGMENT_BYTES, byteLength - at);
      segments.push(new Uint8Array(viewMemory(address + at, bytes)));
    }
    this.#segments = segments;
    this.#pageBytes = pageBytes;
  }

  /** @returns the CRC-32 of a run of pages; it means something where nobody writes to them meanwhile. */
  checksum(firstPage: number, pageCount: number): number {
    let at = firstPage * this.#pageBytes;
    const end = at + pageCount * this.#pageBytes;
    let checksum = 0;
    while (at < end) {
      const start = at % SEGMENT_BYTES;
      const bytes = Math.min(end - at, SEGMENT_BYTES - start);
      const segment = this.#segments[Math.floor(at / SEGMENT_BYTES)] as Uint8Array;
      checksum = checksumOf(segment.subarray(start, start + bytes), checksum);
      at += bytes;
    }
    return checksum;
  }
}
