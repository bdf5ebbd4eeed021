import assert from 'node:assert/strict';
import { FaultWriter, threadId } from '@godwit/posix';
import { MigrationError } from '../errors.ts';
import type { RamBlock } from './ram-block.ts';

/** Upper bound of one sleep: how late a thread that waits learns that nobody brings its page any more. */
const SLEEP_MILLIS_MAX = 1000;

/**
 * How one thread of a guest touches one block of portable memory: `ensure` the page, then load or store,
 * then, if it was a store, tell `wrote`. Who leaves `ensure` out reads a zero where a page is missing; who
 * leaves `wrote` out writes what is never sent.
 *
 * **Why no store is lost.** The guest stores (S) and then sets the page's written bit (W). The dirty log
 * takes the bit and clears it in one exchange (T); whoever sends the page reads it after that (R). W and T
 * are sequentially consistent, so one comes first:
 *
 * - W before T: S came before W, T before R, so R finds what S stored. The page may be in T's result, and
 *   is sent with it.
 * - T before W: the bit is set after it was cleared, and the next T finds it: the page is sent again,
 *   whether R saw all of S, half of it or nothing.
 *
 * With the bit set first, T and R could both fall between it and the store: the bit is gone and the
 * page that was read is the old one. For the same reason W is not left out where the bit seems to be set
 * already: a processor may look at the bit before its store can be seen by others, and T and R fall
 * between the two again. Only an atomic read-modify-write waits for the store.
 *
 * That the last T finds everything takes a guest that stands still: a vCPU says that it has stopped
 * only after W.
 *
 * **Why no wake-up is lost.** Who places a page sets its received bit and then notifies the word that
 * the bit is in. A waiter sleeps only while that word is as it was when the bit was not set.
 *
 * @see docs/decisions/0015-portable-memory.md
 */
export class RamAccess {
  readonly #block: RamBlock;
  readonly #received: Int32Array;
  readonly #written: Int32Array;
  readonly #served: Int32Array;
  readonly #misses: FaultWriter;
  #threadId = 0;

  /** @param block of portable memory. */
  constructor(block: RamBlock) {
    const { portable } = block;
    assert(portable !== undefined, `RAM block '${block.id}' is not portable memory`);
    this.#block = block;
    this.#received = new Int32Array(portable.received);
    this.#written = new Int32Array(portable.written);
    this.#served = new Int32Array(portable.served);
    this.#misses = new FaultWriter(portable.missesWriter);
  }

  /**
   * Before any access to a page; blocks the thread until it is here.
   *
   * @throws {MigrationError} `ERR_PAGE_LOST`: it is missing and nobody will bring it. The guest must not go on.
   */
  ensure(page: number): void {
    const isHere = (Atomics.load(this.#received, page >>> 5) & (1 << (page & 31))) !== 0;
    if (!isHere) this.#waitFor(page);
  }

  /** After a store to a page, never before it. */
  wrote(page: number): void {
    Atomics.or(this.#written, page >>> 5, 1 << (page & 31));
  }

  #waitFor(page: number): void {
    const index = page >>> 5;
    const bit = 1 << (page & 31);
    for (let isTold = false; ; isTold = true) {
      // Looked at first: once the last page is here nobody serves any more, and the page is found.
      const isServed = Atomics.load(this.#served, 0) === 1;
      const word = Atomics.load(this.#received, index);
      if ((word & bit) !== 0) return;
      if (!isServed) this.#refuse(page);
      if (!isTold) this.#tell(page);
      Atomics.wait(this.#received, index, word, SLEEP_MILLIS_MAX);
    }
  }

  #tell(page: number): void {
    this.#threadId ||= threadId();
    this.#misses.write(this.#block.address + page * this.#block.pageBytes, this.#threadId);
  }

  /** Without this a guest would wait for ever, or find zeros. */
  #refuse(page: number): never {
    const message = `page ${page} of RAM block '${this.#block.id}' is missing, and nobody brings it`;
    throw new MigrationError('ERR_PAGE_LOST', message);
  }
}
