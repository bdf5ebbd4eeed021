import {
  closeDescriptor,
  Features,
  RegisterMode,
  registerRange,
  tryCopyPages,
  tryZeroPages,
  SystemError,
  unregisterRange,
  wakeRange,
} from '@godwit/posix';
import { openGuestUserfaultfd } from './guest-userfaultfd.ts';
import { memoryModeOf, tableBitmap } from './portable-ram.ts';
import type { RamBlock } from './ram-block.ts';

/** errno values that placing a page can meet. */
const EEXIST = 17;
const EAGAIN = 11;

/**
 * Opens the userfaultfd through which missing pages are noticed and placed; non-blocking. In portable mode
 * the guest itself tells of them, in the same messages: then it is the descriptor that these come from.
 *
 * A userfaultfd must stay open, and its ranges registered, for as long as a guest that could touch
 * a missing page may run: the kernel would answer such a touch with zeros the moment it is closed.
 *
 * @throws {SystemError} `EPERM` where the host does not let us; `doctor` names the remedies.
 * @throws {MigrationError} `ERR_ARGUMENT`: the blocks do not belong together.
 */
export function openFaultSource(blocks: readonly RamBlock[]): number {
  if (memoryModeOf(blocks) === 'userfault') {
    return openGuestUserfaultfd(Features.THREAD_ID | Features.MISSING_SHMEM);
  }
  return blocks[0]?.portable?.missesReader ?? -1;
}

/** In portable mode a guest that misses a page from here on is refused it, and those that wait are. */
export function closeFaultSource(userfaultfd: number, blocks: readonly RamBlock[]): void {
  if (memoryModeOf(blocks) === 'userfault') closeDescriptor(userfaultfd);
  else for (const block of blocks) setServed(block, false);
}

/**
 * From here on a touch of a page that is not there waits until the page is placed. In portable mode that
 * is a page which is not received.
 */
export function watchMissing(userfaultfd: number, blocks: readonly RamBlock[]): void {
  for (const block of blocks) {
    if (block.portable === undefined) {
      registerRange(userfaultfd, block.address, block.byteLength, RegisterMode.MISSING);
    } else {
      const received = tableBitmap(block, block.portable.received);
      tableBitmap(block, block.portable.missing).assignComplement(received);
      setServed(block, true);
    }
  }
}

/** From here on a touch of a page that is not there reads zeros: only when none is missing. */
export function unwatchMissing(userfaultfd: number, blocks: readonly RamBlock[]): void {
  for (const block of blocks) {
    if (block.portable === undefined) {
      unregisterRange(userfaultfd, block.address, block.byteLength);
    } else {
      setServed(block, false);
    }
  }
}

/** Who waits for a page that is received, and zero where it was never placed, goes on. */
export function resolveReceived(userfaultfd: number, block: RamBlock, page: number): void {
  if (block.portable !== undefined) return; // it sees the received bit before it sleeps, or is woken after
  const { address, pageBytes } = block;
  placeZeroPages(userfaultfd, address + page * pageBytes, pageBytes, pageBytes);
}

/**
 * Places pages and wakes whoever waits for them. Pages that are there already are left as they are:
 * the guest may have written them since.
 *
 * @param source any readable memory that is not guest RAM.
 * @returns how many pages were there already.
 * @throws {SystemError} anything but EEXIST and EAGAIN: the mapping is not what we believe it is.
 */
export function placePages(
  userfaultfd: number,
  address: number,
  source: number,
  byteLength: number,
  pageBytes: number,
): number {
  let duplicates = 0;
  for (let done = 0; done < byteLength;) {
    const placed = tryCopyPages(userfaultfd, address + done, source + done, byteLength - done, 0);
    if (placed > 0) {
      done += placed;
    } else if (placed === -EEXIST) {
      wakeRange(userfaultfd, address + done, pageBytes);
      duplicates += 1;
      done += pageBytes;
    } else if (placed !== -EAGAIN) {
      throw new SystemError(-placed, 'ioctl UFFDIO_COPY');
    }
  }
  return duplicates;
}

/** As `placePages`, with pages of zeros that take no memory. */
export function placeZeroPages(
  userfaultfd: number,
  address: number,
  byteLength: number,
  pageBytes: number,
): number {
  let duplicates = 0;
  for (let done = 0; done < byteLength;) {
    const placed = tryZeroPages(userfaultfd, address + done, byteLength - done, 0);
    if (placed > 0) {
      done += placed;
    } else if (placed === -EEXIST) {
      wakeRange(userfaultfd, address + done, pageBytes);
      duplicates += 1;
      done += pageBytes;
    } else if (placed !== -EAGAIN) {
      throw new SystemError(-placed, 'ioctl UFFDIO_ZEROPAGE');
    }
  }
  return duplicates;
}

function setServed({ portable }: RamBlock, isServed: boolean): void {
  if (portable !== undefined) Atomics.store(new Int32Array(portable.served), 0, isServed ? 1 : 0);
}
