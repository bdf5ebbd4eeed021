import { EINVAL, ENOSYS, EPERM, SystemError } from './errors.ts';
import { closeDescriptor, openFile } from './io.ts';
import { checkIoctl, ioctlNumber } from './ioctl.ts';
import { check, declareSyscall } from './libc.ts';
import { StructMemory, layoutU64 } from './struct-memory.ts';

const syscallUserfaultfd = declareSyscall('userfaultfd', { x64: 323, arm64: 282 });

const O_RDWR = 2;
const O_CLOEXEC = 0o2000000;
const O_NONBLOCK = 0o4000;
const UFFD_USER_MODE_ONLY = 1;
const UFFD_API = 0xaa;

/** The type byte of every ioctl on a userfaultfd. */
export const UFFDIO = 0xaa;
const API_BYTES = 24;
const REGISTER_BYTES = 32;
/** `struct uffdio_range`: start and length. */
const RANGE_BYTES = 16;
export const USERFAULTFD_IOC_NEW = ioctlNumber.none(UFFDIO, 0x00);
const UFFDIO_API = ioctlNumber.readWrite(UFFDIO, 0x3f, API_BYTES);
const UFFDIO_REGISTER = ioctlNumber.readWrite(UFFDIO, 0x00, REGISTER_BYTES);
const UFFDIO_UNREGISTER = ioctlNumber.read(UFFDIO, 0x01, RANGE_BYTES);

const api = layoutU64(API_BYTES, ['api', 'features', 'ioctls']);
const registration = layoutU64(REGISTER_BYTES, ['start', 'length', 'mode', 'ioctls']);

// Overwritten by every call, so nothing is kept between them; each thread loads a copy of its own.
const argument = new StructMemory(REGISTER_BYTES);

/** What a userfaultfd can be asked to do, bits of `UFFDIO_API`. @see UFFDIO_API(2const) */
export const Features = {
  PAGEFAULT_FLAG_WP: 1 << 0,
  EVENT_FORK: 1 << 1,
  EVENT_REMAP: 1 << 2,
  EVENT_REMOVE: 1 << 3,
  MISSING_HUGETLBFS: 1 << 4,
  MISSING_SHMEM: 1 << 5,
  EVENT_UNMAP: 1 << 6,
  SIGBUS: 1 << 7,
  /** Messages carry the thread that faulted. */
  THREAD_ID: 1 << 8,
  MINOR_HUGETLBFS: 1 << 9,
  MINOR_SHMEM: 1 << 10,
  /** Addresses are the byte touched, not its page. */
  EXACT_ADDRESS: 1 << 11,
  WP_HUGETLBFS_SHMEM: 1 << 12,
  /** Write-protection holds for pages that do not exist yet, so that their first write is seen. */
  WP_UNPOPULATED: 1 << 13,
  POISON: 1 << 14,
  /** A write to a protected page is not a message: the kernel unprotects it, PAGEMAP_SCAN tells. */
  WP_ASYNC: 1 << 15,
  MOVE: 1 << 16,
} as const;

/** Which accesses of a range are reported; bits. @see UFFDIO_REGISTER(2const) */
export const RegisterMode = { MISSING: 1, WP: 2, MINOR: 4 } as const;

export interface UserfaultfdOptions {
  /**
   * Serve faults of user code only: the way open to a process without privileges. A system call
   * that touches a missing page of the range then fails with `EFAULT`.
   */
  readonly userModeOnly?: boolean;
  /** Bits of `Features`; 0 asks for missing pages of anonymous memory alone. */
  readonly features: bigint | number;
}

/**
 * Opens a non-blocking userfaultfd: by its system call, or where that is refused by
 * `/dev/userfaultfd`, whose file permissions an administrator can grant.
 *
 * Closing it lets every thread that waits for a page go on: with zeros.
 *
 * @throws {SystemError} `EPERM`, refused both ways; `EINVAL`, the kernel lacks a feature; `ENOSYS`.
 */
export function openUserfaultfd(options: UserfaultfdOptions): number {
  const flags = O_CLOEXEC | O_NONBLOCK | (options.userModeOnly === true ? UFFD_USER_MODE_ONLY : 0);
  const { fd } = createUserfaultfd(flags);
  try {
    enableFeatures(fd, Number(options.features));
    return fd;
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
}

/** How this process may have a userfaultfd, and the bits of `Features` that its kernel knows. */
export interface UserfaultfdSupport {
  readonly how: 'syscall' | 'device' | 'user-mode-only';
  readonly features: number;
}

/** @throws {SystemError} why this process cannot have a userfaultfd of any kind. */
export function probeUserfaultfd(): UserfaultfdSupport {
  const flags = O_CLOEXEC | O_NONBLOCK;
  let created: { fd: number; how: UserfaultfdSupport['how'] };
  try {
    created = createUserfaultfd(flags);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    const fd = check(syscallUserfaultfd(flags | UFFD_USER_MODE_ONLY), 'userfaultfd');
    created = { fd, how: 'user-mode-only' };
  }
  try {
    return { how: created.how, features: enableFeatures(created.fd, 0) };
  } finally {
    closeDescriptor(created.fd);
  }
}

/**
 * Starts reporting accesses to a range that was mapped by this process.
 *
 * @param mode bits of `RegisterMode`.
 * @throws {SystemError} `EINVAL`: not whole pages, not mapped, or a kind of memory without the
 *   feature; `EBUSY`: another userfaultfd has it.
 */
export function registerRange(
  uffd: number,
  address: number,
  byteLength: number,
  mode: number,
): void {
  argument.writeU64(registration.start, address);
  argument.writeU64(registration.length, byteLength);
  argument.writeU64(registration.mode, mode);
  checkIoctl('ioctl UFFDIO_REGISTER', uffd, UFFDIO_REGISTER, argument.address);
}

/** Stops reporting. A page still missing reads as **zero** from now on; waiting threads go on. */
export function unregisterRange(uffd: number, address: number, byteLength: number): void {
  argument.writeU64(registration.start, address);
  argument.writeU64(registration.length, byteLength);
  checkIoctl('ioctl UFFDIO_UNREGISTER', uffd, UFFDIO_UNREGISTER, argument.address);
}

function createUserfaultfd(flags: number): { fd: number; how: 'syscall' | 'device' } {
  let refusal: unknown;
  try {
    return { fd: check(syscallUserfaultfd(flags), 'userfaultfd'), how: 'syscall' };
  } catch (error) {
    if (!isRefusal(error)) throw error;
    refusal = error;
  }
  try {
    return { fd: openByDevice(flags), how: 'device' };
  } catch {
    throw refusal; // the device is the lesser known way: why the system call refused says more
  }
}

/**
 * The way by `/dev/userfaultfd` alone.
 *
 * @param flags as of the system call. @returns a descriptor whose features are not chosen yet.
 */
export function openByDevice(flags: number): number {
  const device = openFile('/dev/userfaultfd', O_RDWR);
  try {
    return checkIoctl('ioctl USERFAULTFD_IOC_NEW', device, USERFAULTFD_IOC_NEW, flags);
  } finally {
    closeDescriptor(device);
  }
}

/** EPERM is the sysctl or a seccomp filter; EINVAL a kernel without UFFD_USER_MODE_ONLY. */
function isRefusal(error: unknown): boolean {
  return error instanceof SystemError && [EPERM, ENOSYS, EINVAL].includes(error.errno);
}

/** @returns the bits of `Features` that the kernel knows. */
function enableFeatures(uffd: number, features: number): number {
  argument.writeU64(api.api, UFFD_API);
  argument.writeU64(api.features, features);
  argument.writeU64(api.ioctls, 0);
  checkIoctl('ioctl UFFDIO_API', uffd, UFFDIO_API, argument.address);
  return argument.readU64(api.features);
}
