import assert from 'node:assert/strict';
import { EAGAIN, SystemError } from './errors.ts';
import { tryRead } from './io.ts';
import { StructMemory } from './struct-memory.ts';

/**
 * One `struct uffd_msg` of a page fault, packed. Other events put the start and the end of their
 * range in the two u64.
 *
 *     0       8        16        24       32
 *     | event | flags  | address | thread |
 *     | u8    | u64    | u64     | u32    |
 */
export const MESSAGE_BYTES = 32;
export const messageOffsets = { flags: 8, address: 16, thread: 24 } as const;

/** The kinds of message. */
export const FaultEvent = {
  PAGEFAULT: 0x12,
  FORK: 0x13,
  REMAP: 0x14,
  REMOVE: 0x15,
  UNMAP: 0x16,
} as const;

/** Bits of a page fault's flags; none: a read of a missing page. */
export const FaultFlag = { WRITE: 1, WP: 2, MINOR: 4 } as const;

/** Reads the messages of a userfaultfd, many a call; they are valid until the next `read`. */
export class FaultReader {
  readonly capacity: number;
  readonly #memory: StructMemory;

  /** @param capacity messages per `read`. */
  constructor(capacity: number) {
    assert.ok(capacity > 0);
    this.capacity = capacity;
    this.#memory = new StructMemory(capacity * MESSAGE_BYTES);
  }

  /** @returns how many messages there were; 0 if none: wait with `PollSet`. */
  read(uffd: number): number {
    const result = tryRead(uffd, this.#memory.address, this.capacity * MESSAGE_BYTES);
    if (result >= 0) return result / MESSAGE_BYTES;
    if (result === -EAGAIN) return 0;
    throw new SystemError(-result, 'read');
  }

  /** One of `FaultEvent`. */
  event(index: number): number {
    return this.#memory.u8[index * MESSAGE_BYTES] ?? 0;
  }

  /** Bits of `FaultFlag`. */
  flags(index: number): number {
    return this.#memory.readU64(index * MESSAGE_BYTES + messageOffsets.flags);
  }

  /** Of the page touched; of the byte, with `Features.EXACT_ADDRESS`. */
  address(index: number): number {
    return this.#memory.readU64(index * MESSAGE_BYTES + messageOffsets.address);
  }

  /** Of the thread that waits, as `threadId()` there; 0 without `Features.THREAD_ID`. */
  threadId(index: number): number {
    return this.#memory.u32[(index * MESSAGE_BYTES + messageOffsets.thread) >>> 2] ?? 0;
  }
}
