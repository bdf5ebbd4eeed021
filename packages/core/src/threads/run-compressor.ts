import { copyMemory, ScratchBuffer } from '@godwit/posix';
import { deflatePages } from '@godwit/transport';

/** What is compressed in one go: zlib looks back 32 KiB, so more would gain nothing. */
export const COMPRESSED_RUN_BYTES = 256 * 1024;
/** Room for what waits to be written, and how much waits at most: the receiver shall not be idle. */
const OUTPUT_BYTES = 1024 * 1024;
const RUNS_MAX = 16;
/** Compression that saves less than an eighth is not worth the receiver's time. */
const SHRINKS_TO = 7 / 8;
/** Where no run shrinks, so many go untried after each try, which takes far longer than sending one. */
const SKIPPED_RUNS_MAX = 15;

/** Where a compressed run waits to be written. */
export interface CompressedRun {
  readonly address: number;
  readonly byteLength: number;
  /** The same as a view. */
  readonly bytes: Uint8Array;
}

/**
 * Compresses runs of pages into memory of its own, where they stay until `clear`. Runs that do not
 * shrink are left alone, and after each of them more of those that follow are not even tried.
 */
export class RunCompressor {
  readonly #level: number;
  readonly #input = new ScratchBuffer(COMPRESSED_RUN_BYTES);
  readonly #output = new ScratchBuffer(OUTPUT_BYTES);
  #used = 0;
  #runs = 0;
  #skips = 0;
  #skipsLeft = 0;

  /** @param level 0 to 9, as `multifd-zlib-level`. */
  constructor(level: number) {
    this.#level = level;
  }

  /** Enough, or no room for another run of `COMPRESSED_RUN_BYTES`: write what is here, and clear. */
  get isFull(): boolean {
    return this.#runs === RUNS_MAX || this.#output.byteLength - this.#used < COMPRESSED_RUN_BYTES;
  }

  /**
   * The guest may write to the run meanwhile: it is copied first, since zlib needs input that stays as it
   * is. What was written during the copy is in the dirty log.
   *
   * @param byteLength at most `COMPRESSED_RUN_BYTES`; not while `isFull`.
   * @returns nothing where it does not pay to compress it.
   */
  compress(address: number, byteLength: number): CompressedRun | undefined {
    if (this.#skipsLeft > 0) {
      this.#skipsLeft -= 1;
      return undefined;
    }
    copyMemory(this.#input.address, address, byteLength);
    const body = deflatePages(this.#input.bytes.subarray(0, byteLength), this.#level);
    if (body.byteLength > byteLength * SHRINKS_TO) {
      this.#skips = Math.min(2 * this.#skips + 1, SKIPPED_RUNS_MAX);
      this.#skipsLeft = this.#skips;
      return undefined;
    }
    this.#skips = 0;
    this.#output.bytes.set(body, this.#used);
    const { byteLength: bodyBytes } = body;
    const bytes = this.#output.bytes.subarray(this.#used, this.#used + bodyBytes);
    const run = { address: this.#output.address + this.#used, byteLength: bodyBytes, bytes };
    this.#used += bodyBytes;
    this.#runs += 1;
    return run;
  }

  /** What was compressed has been written, or will never be. */
  clear(): void {
    this.#used = 0;
    this.#runs = 0;
  }
}
