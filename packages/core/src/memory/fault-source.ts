import {
  closeDescriptor,
  Features,
  openUserfaultfd,
  RegisterMode,
  registerRange,
  tryCopyPages,
  tryZeroPages,
  SystemError,
  unregisterRange,
  wakeRange,
} from '@godwit/posix';
import type { RamBlock } from './ram-block.ts';

/** errno values that placing a page can meet. */
const EEXIST = 17;
const EAGAIN = 11;

/**
 * Opens the userfaultfd through which missing pages are noticed and placed; non-blocking.
 *
 * The descriptor must stay open, and its ranges registered, for as long as a guest that could touch
 * a missing page may run: the kernel would answer such a touch with zeros the moment it is closed.
 *
 * @throws {SystemError} `EPERM` where the host does not let us; `doctor` names the remedies.
 */
export function openFaultSource(): number {
  return openUserfaultfd({
    features: Features.THREAD_ID | Features.MISSING_SHMEM,
  });
}

export function closeFaultSource(userfaultfd: number): void {
  closeDescriptor(userfaultfd);
}

/** From here on a touch of a page that is not there waits until the page is placed. */
export function watchMissing(userfaultfd: number, blocks: readonly RamBlock[]): void {
  for (const block of blocks) {
    registerRange(userfaultfd, block.address, block.byteLength, RegisterMode.MISSING);
  }
}

/** From here on a touch of a page that is not there reads zeros: only when none is missing. */
export function unwatchMissing(userfaultfd: number, blocks: readonly RamBlock[]): void {
  for (const block of blocks) {
    unregisterRange(userfaultfd, block.address, block.byteLength);
  }
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
