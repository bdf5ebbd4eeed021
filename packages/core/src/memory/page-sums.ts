import { createHash } from 'node:crypto';
import { checksumOf } from '@godwit/transport';
import { BlockBytes } from './block-bytes.ts';
import type { RamBlock } from './ram-block.ts';

/**
 * The CRC-32 of each page as it was sent, or put in place, last: what a migration by postcopy has moved, since
 * its guest is never whole on one side while it stands still. Shared by the threads of a side; a page is
 * noted by whoever has claimed it, or before it counts as received, so never by two with different content.
 *
 * A page that the guest writes while it is noted is sent again, and noted again.
 */
export class PageSums {
  readonly #blocks: readonly RamBlock[];
  readonly #sums: readonly Uint32Array[];
  readonly #memory: (BlockBytes | undefined)[] = [];
  #zeroSum: number | undefined;

  /** @param shared the buffers of the main thread's, in a worker. */
  constructor(blocks: readonly RamBlock[], shared?: readonly SharedArrayBuffer[]) {
    this.#blocks = blocks;
    this.#sums = blocks.map(({ byteLength, pageBytes }, i) => {
      return new Uint32Array(shared?.[i] ?? new SharedArrayBuffer((byteLength / pageBytes) * 4));
    });
  }

  get buffers(): SharedArrayBuffer[] {
    return this.#sums.map(({ buffer }) => buffer as SharedArrayBuffer); // see the constructor
  }

  /** @param bytes of whole pages, from `first` on. */
  note(block: number, first: number, bytes: Uint8Array): void {
    const sums = this.#sums[block] as Uint32Array;
    const { pageBytes } = this.#blocks[block] as RamBlock;
    for (let at = 0, page = first; at < bytes.byteLength; at += pageBytes, page += 1) {
      sums[page] = checksumOf(bytes.subarray(at, at + pageBytes));
    }
  }

  /** As they are in guest memory. */
  noteMemory(block: number, first: number, count: number): void {
    const sums = this.#sums[block] as Uint32Array;
    const memory = (this.#memory[block] ??= new BlockBytes(this.#blocks[block] as RamBlock));
    for (let page = first; page < first + count; page++) sums[page] = memory.checksum(page, 1);
  }

  noteZeros(block: number, first: number, count: number): void {
    const { pageBytes } = this.#blocks[block] as RamBlock;
    this.#zeroSum ??= checksumOf(new Uint8Array(pageBytes));
    (this.#sums[block] as Uint32Array).fill(this.#zeroSum, first, first + count);
  }

  /** Of each block: SHA-256 of its sums, little-endian; once every page is noted. */
  digests(): Uint8Array[] {
    return this.#sums.map((sums) => {
      // A copy: createHash takes no shared memory. Every host of ours is little-endian.
      return createHash('sha256').update(new Uint32Array(sums)).digest();
    });
  }
}
