import { EAGAIN, SystemError } from './errors.ts';
import { checkIoctl, ioctlNumber, tryIoctl } from './ioctl.ts';
import { lastErrno } from './libc.ts';
import { StructMemory, layoutU64 } from './struct-memory.ts';
import { UFFDIO } from './userfaultfd.ts';

const RANGE_BYTES = 16;
const COPY_BYTES = 40;
const FILL_BYTES = 32;
const PROTECT_BYTES = 24;
const UFFDIO_WAKE = ioctlNumber.read(UFFDIO, 0x02, RANGE_BYTES);
const UFFDIO_COPY = ioctlNumber.readWrite(UFFDIO, 0x03, COPY_BYTES);
const UFFDIO_ZEROPAGE = ioctlNumber.readWrite(UFFDIO, 0x04, FILL_BYTES);
const UFFDIO_WRITEPROTECT = ioctlNumber.readWrite(UFFDIO, 0x06, PROTECT_BYTES);
const UFFDIO_CONTINUE = ioctlNumber.readWrite(UFFDIO, 0x07, FILL_BYTES);
const WRITEPROTECT_MODE_WP = 1;

const copying = layoutU64(COPY_BYTES, ['destination', 'source', 'length', 'mode', 'copied']);
/** `struct uffdio_zeropage` and `struct uffdio_continue` alike. */
const filling = layoutU64(FILL_BYTES, ['start', 'length', 'mode', 'filled']);
/** `struct uffdio_writeprotect`; its first two fields are `struct uffdio_range`. */
const protecting = layoutU64(PROTECT_BYTES, ['start', 'length', 'mode']);

// Overwritten by every call, so nothing is kept between them; each thread loads a copy of its own.
const argument = new StructMemory(COPY_BYTES);

/** Bits of `mode`. @see UFFDIO_COPY(2const) */
export const CopyMode = {
  /** Leave threads that wait for these pages waiting, until `wakeRange`. */
  DONTWAKE: 1,
  /** The pages arrive write-protected; the range must be registered with `RegisterMode.WP`. */
  WP: 2,
} as const;

/**
 * Puts pages where none are, each in one step: no thread ever sees half of one. Threads that wait
 * for them go on. A page that exists already is never overwritten (`EEXIST`).
 *
 * @param source ordinary memory, itself not missing.
 * @param mode bits of `CopyMode`.
 * @returns the bytes of whole pages that arrived, fewer than asked when a page in the middle failed
 *   (ask again from there for the reason); if none did, a negative errno: `EEXIST`; `EAGAIN`, the
 *   mappings are changing, ask again; `ENOENT`, the range is not registered; `ESRCH`, the process
 *   is ending; `ENOSPC`, `ENOMEM`.
 */
export function tryCopyPages(
  uffd: number,
  destination: number,
  source: number,
  byteLength: number,
  mode: number,
): number {
  argument.writeU64(copying.destination, destination);
  argument.writeU64(copying.source, source);
  argument.writeU64(copying.length, byteLength);
  argument.writeU64(copying.mode, mode);
  return run(uffd, UFFDIO_COPY, byteLength, copying.copied);
}

/** As `tryCopyPages`. @throws {SystemError} when no page arrived. */
export function copyPages(
  uffd: number,
  destination: number,
  source: number,
  byteLength: number,
  options: { readonly dontWake?: boolean; readonly writeProtect?: boolean } = {},
): number {
  const mode =
    (options.dontWake === true ? CopyMode.DONTWAKE : 0) |
    (options.writeProtect === true ? CopyMode.WP : 0);
  const copied = tryCopyPages(uffd, destination, source, byteLength, mode);
  if (copied < 0) throw new SystemError(-copied, 'ioctl UFFDIO_COPY');
  return copied;
}

/**
 * As `tryCopyPages`, with the kernel's page of zeros, which takes no memory.
 *
 * @param mode 0 or `CopyMode.DONTWAKE`. @see UFFDIO_ZEROPAGE(2const)
 */
export function tryZeroPages(
  uffd: number,
  address: number,
  byteLength: number,
  mode: number,
): number {
  return fill(uffd, UFFDIO_ZEROPAGE, address, byteLength, mode);
}

/**
 * Maps pages that the file behind the range has already: the answer to a minor fault. Otherwise as
 * `tryCopyPages`; `EFAULT` where the file has no such page.
 *
 * @param mode bits of `CopyMode`. @see UFFDIO_CONTINUE(2const)
 */
export function tryContinuePages(
  uffd: number,
  address: number,
  byteLength: number,
  mode: number,
): number {
  return fill(uffd, UFFDIO_CONTINUE, address, byteLength, mode);
}

/** Lets threads that wait in the range try again: after `CopyMode.DONTWAKE`, or a lost race. */
export function wakeRange(uffd: number, address: number, byteLength: number): void {
  argument.writeU64(protecting.start, address);
  argument.writeU64(protecting.length, byteLength);
  checkIoctl('ioctl UFFDIO_WAKE', uffd, UFFDIO_WAKE, argument.address);
}

/**
 * Write-protects a range, or lets its writers go on. It must be registered with `RegisterMode.WP`.
 *
 * @throws {SystemError} `ENOENT`, not registered so; `EAGAIN`, the mappings are changing.
 */
export function writeProtectRange(
  uffd: number,
  address: number,
  byteLength: number,
  protect: boolean,
): void {
  argument.writeU64(protecting.start, address);
  argument.writeU64(protecting.length, byteLength);
  argument.writeU64(protecting.mode, protect ? WRITEPROTECT_MODE_WP : 0);
  checkIoctl('ioctl UFFDIO_WRITEPROTECT', uffd, UFFDIO_WRITEPROTECT, argument.address);
}

function fill(
  uffd: number,
  request: number,
  address: number,
  byteLength: number,
  mode: number,
): number {
  argument.writeU64(filling.start, address);
  argument.writeU64(filling.length, byteLength);
  argument.writeU64(filling.mode, mode);
  return run(uffd, request, byteLength, filling.filled);
}

/**
 * The kernel answers a partial copy with EAGAIN and the count in the struct; it leaves the count
 * alone where it refuses before it starts, hence the zero.
 */
function run(uffd: number, request: number, byteLength: number, countOffset: number): number {
  argument.writeU64(countOffset, 0);
  if (tryIoctl(uffd, request, argument.address) >= 0) return byteLength;
  const errno = lastErrno();
  if (errno !== EAGAIN) return -errno;
  const count = argument.readI64(countOffset);
  return count > 0 ? count : -EAGAIN;
}
