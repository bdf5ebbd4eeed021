import { declare } from './libc.ts';
import { ScratchBuffer } from './scratch-buffer.ts';

const libcMemcmp = declare('memcmp', 'int', ['uintptr_t', 'uintptr_t', 'size_t']);

/** More a call brings hardly anything, and all of it stays in the processor's cache. */
const ZEROS_BYTES = 256 * 1024;

// Only ever read, so that it takes no memory of its own; each thread loads one.
const zeros = new ScratchBuffer(ZEROS_BYTES);

/**
 * Whether memory holds nothing but zeros, at about the speed at which it can be read; a byte that is
 * not zero ends the look. No page of it may be missing.
 *
 * A byte that others write meanwhile counts as what it was or as what it becomes; one that nobody
 * writes is never overlooked. (Memory compared with itself, shifted, would not promise that: a byte
 * written between its two reads can make its stable neighbour look like zero.)
 */
export function isZeroMemory(address: number, byteLength: number): boolean {
  for (let done = 0; done < byteLength; done += ZEROS_BYTES) {
    const bytes = Math.min(ZEROS_BYTES, byteLength - done);
    if (libcMemcmp(zeros.address, address + done, bytes) !== 0) return false;
  }
  return true;
}
