import { viewMemory } from '@godwit/posix';
import type { RamBlock } from './ram-block.ts';

/**
 * The memory of a block, as it is: for a guest's vCPU threads, and for whoever looks at a guest that
 * has stopped and has all its pages. Whoever touches a missing page waits until it has come, so never
 * on the main thread of a destination before `completed`. Valid until the RAM is disposed.
 *
 * @param offset in bytes, a multiple of what the view is made of.
 * @param byteLength at most 1 GiB, beyond which V8 knows no views: take several.
 * @throws {RangeError} outside the block, or more than that.
 */
export function viewRam(
  block: RamBlock,
  offset = 0,
  byteLength: number = block.byteLength - offset,
): ArrayBuffer {
  if (offset < 0 || byteLength < 0 || offset + byteLength > block.byteLength) {
    const asked = `bytes ${offset} to ${offset + byteLength}`;
    throw new RangeError(`${asked} are not in RAM block '${block.id}' of ${block.byteLength}`);
  }
  return viewMemory(block.address + offset, byteLength);
}
