import { FaultEvent, MESSAGE_BYTES, messageOffsets } from './fault-reader.ts';
import { writeFully } from './io.ts';
import { StructMemory } from './struct-memory.ts';

/**
 * Tells of missing pages in the kernel's own words, where there is no kernel to tell of them: who reads
 * the other end with `FaultReader` finds what a userfaultfd would say. One thread uses it; several, each
 * with its own, may write to one descriptor, since so short a message is never torn.
 */
export class FaultWriter {
  readonly #fd: number;
  readonly #message = new StructMemory(MESSAGE_BYTES);

  /** @param fd of a pipe or a stream socket. */
  constructor(fd: number) {
    this.#fd = fd;
    this.#message.u8[0] = FaultEvent.PAGEFAULT;
  }

  /**
   * @param address of the page that is missing.
   * @param threadId who waits for it, as `threadId()` there.
   * @throws {SystemError} `EPIPE`, `EBADF`: nobody can read it any more.
   */
  write(address: number, threadId: number): void {
    this.#message.writeU64(messageOffsets.address, address);
    this.#message.u32[messageOffsets.thread / 4] = threadId;
    writeFully(this.#fd, this.#message.address, MESSAGE_BYTES);
  }
}
