import assert from 'node:assert/strict';
import { copyMemory, ScratchBuffer } from '@godwit/posix';
import { CHECKED_PAGES_BYTES_MAX, checksumOf } from '@godwit/transport';

/** What a batch takes and one run more: the run that makes it full. */
const BUFFER_BYTES = 2 * CHECKED_PAGES_BYTES_MAX;

/** Where the body of a checked frame waits to be written. */
export interface CheckedCopy {
  readonly address: number;
  readonly checksum: number;
}

/**
 * Copies of runs of pages, with their checksums, which stay until `clear`. The guest may write to a page
 * after its checksum is taken and before the socket takes the page: only a copy is what its checksum says.
 * What was written during the copy is in the dirty log.
 */
export class CheckedCopies {
  readonly #buffer = new ScratchBuffer(BUFFER_BYTES);
  #used = 0;

  constructor() {
    checksumOf(this.#buffer.bytes); // the first one takes milliseconds: not under a stopped guest
  }

  /** No room for another run: write what is here, and clear. */
  get isFull(): boolean {
    return this.#used > BUFFER_BYTES - CHECKED_PAGES_BYTES_MAX;
  }

  /** @param byteLength at most `CHECKED_PAGES_BYTES_MAX`; not while `isFull`. */
  copy(address: number, byteLength: number): CheckedCopy {
    assert(byteLength <= BUFFER_BYTES - this.#used); // it would be written behind the end
    const start = this.#used;
    const copy = this.#buffer.address + start;
    copyMemory(copy, address, byteLength);
    this.#used += byteLength;
    return {
      address: copy,
      checksum: checksumOf(this.#buffer.bytes.subarray(start, start + byteLength)),
    };
  }

  /** What was copied has been written, or will never be. */
  clear(): void {
    this.#used = 0;
  }
}
