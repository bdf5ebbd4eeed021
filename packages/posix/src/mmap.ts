import { check, declare, viewNative } from './libc.ts';

const libcMmap = declare('mmap', 'intptr_t', [
  'uintptr_t',
  'size_t',
  'int',
  'int',
  'int',
  'int64_t',
]);
const libcMunmap = declare('munmap', 'int', ['uintptr_t', 'size_t']);
const libcMadvise = declare('madvise', 'int', ['uintptr_t', 'size_t', 'int']);
const libcMlock2 = declare('mlock2', 'int', ['uintptr_t', 'size_t', 'uint32_t']);
const libcMunlock = declare('munlock', 'int', ['uintptr_t', 'size_t']);
const libcPrctl = declare('prctl', 'int', ['int', 'ulong', 'ulong', 'ulong', 'str']);
const libcGetpagesize = declare('getpagesize', 'int', []);

const MLOCK_ONFAULT = 1;
const PROT_READ_WRITE = 1 | 2;
const MAP_SHARED = 0x01;
const MAP_PRIVATE = 0x02;
const MAP_ANONYMOUS = 0x20;
const MAP_NORESERVE = 0x4000;
const PR_SET_VMA = 0x53564d41;
const PR_SET_VMA_ANON_NAME = 0;

/** Beyond about 4 GiB V8 ends the process instead of throwing. */
const VIEW_BYTES_MAX = 2 ** 30;

/** The size of a page of this host; 4096 off Linux, where nothing can be mapped. */
export const pageBytes: number = process.platform === 'linux' ? libcGetpagesize() : 4096;

/** What `advise` can ask for. @see madvise(2) */
export const Advice = {
  /** Anonymous memory reads as zero afterwards; a file's mapping reads the file again. */
  DONTNEED: 4,
  /** Punches a hole in the file behind a shared mapping. */
  REMOVE: 9,
  DONTFORK: 10,
  HUGEPAGE: 14,
  NOHUGEPAGE: 15,
  DONTDUMP: 16,
  PAGEOUT: 21,
  POPULATE_READ: 22,
  POPULATE_WRITE: 23,
  /** One huge page of the pages that are there, now. */
  COLLAPSE: 25,
} as const;
export type Advice = (typeof Advice)[keyof typeof Advice];

export interface AnonymousOptions {
  /** Shown in `/proc/self/maps` where the kernel can; silently not otherwise. */
  readonly name?: string;
  /** Of the address, in bytes: a power of two, the size of a page or more. */
  readonly alignment?: number;
}

/**
 * Maps private memory that reads as zero and takes no room until it is written.
 *
 * @throws {SystemError} `ENOMEM`, `EINVAL`.
 */
export function mapAnonymous(byteLength: number, options: AnonymousOptions = {}): number {
  const { name, alignment = pageBytes } = options;
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  const slack = alignment - pageBytes;
  const start = check(libcMmap(0, byteLength + slack, PROT_READ_WRITE, flags, -1, 0), 'mmap');
  const address = Math.ceil(start / alignment) * alignment;
  const before = address - start;
  if (before > 0) unmap(start, before);
  const end = address + Math.ceil(byteLength / pageBytes) * pageBytes;
  if (before < slack) unmap(end, slack - before);
  if (name !== undefined) nameMapping(address, byteLength, name);
  return address;
}

/**
 * Maps a file, as a memfd, to be read and written by all who map it.
 *
 * @param offset into the file, a multiple of `pageBytes`.
 * @throws {SystemError} `EACCES`, `EBADF`, `EINVAL`, `ENOMEM`.
 */
export function mapShared(fd: number, byteLength: number, offset = 0): number {
  const flags = MAP_SHARED | MAP_NORESERVE;
  return check(libcMmap(0, byteLength, PROT_READ_WRITE, flags, fd, offset), 'mmap');
}

/** No view of the range, in any thread, may be touched again: that is a segmentation fault. */
export function unmap(address: number, byteLength: number): void {
  check(libcMunmap(address, byteLength), 'munmap');
}

/** @throws {SystemError} `EINVAL` where the kernel does not know the advice; `ENOMEM`, `EFAULT`. */
export function advise(address: number, byteLength: number, advice: Advice): void {
  check(libcMadvise(address, byteLength, advice), 'madvise');
}

/**
 * Names a private anonymous mapping in `/proc/self/maps`, as `[anon:name]`.
 *
 * @param name up to 79 printable characters, none of ``[]\$` ``.
 * @returns false where the kernel lacks it (CONFIG_ANON_VMA_NAME) or refuses the name.
 */
export function nameMapping(address: number, byteLength: number, name: string): boolean {
  return libcPrctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, address, byteLength, name) === 0;
}

/**
 * An ArrayBuffer over mapped memory, without a copy. Several views of the same memory may exist, in
 * this thread and in others. The view cannot be transferred to another thread (it would be copied):
 * pass the address and view it there.
 *
 * The memory must stay mapped while the view is used: its owner sees to that, not the view.
 *
 * @throws {RangeError} above 1 GiB: view larger memory in segments.
 */
export function viewMemory(address: number, byteLength: number): ArrayBuffer {
  if (!Number.isSafeInteger(byteLength) || byteLength < 0 || byteLength > VIEW_BYTES_MAX) {
    throw new RangeError(`a view of ${byteLength} bytes; the limit is ${VIEW_BYTES_MAX}`);
  }
  return viewNative(address, byteLength);
}

/**
 * Memory that both system calls and JavaScript can use, aligned to pages, zero at first.
 *
 * Dispose of it to give the memory back: at once its pages, and its addresses once `bytes` has
 * been collected. So a late access to `bytes` finds zeros, neither another owner's memory nor a
 * fault; it is a mistake all the same, and system calls must no longer be given `address`.
 */
export class NativeBuffer implements Disposable {
  readonly address: number;
  readonly byteLength: number;
  readonly bytes: Uint8Array;
  #disposed = false;

  /** @throws {SystemError} `ENOMEM`. @throws {RangeError} above 1 GiB. */
  constructor(byteLength: number) {
    const address = mapAnonymous(byteLength);
    try {
      this.bytes = new Uint8Array(viewMemory(address, byteLength));
    } catch (error) {
      unmap(address, byteLength);
      throw error;
    }
    this.address = address;
    this.byteLength = byteLength;
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    // Not checked: where it fails (pages locked in memory) they are given back when unmapped.
    libcMadvise(this.address, this.byteLength, Advice.DONTNEED);
    abandoned.register(this.bytes.buffer, [this.address, this.byteLength]);
  }
}

/** Unmaps what was disposed of, once nothing can reach its bytes any more. */
const abandoned = new FinalizationRegistry<[address: number, byteLength: number]>((range) => {
  unmap(...range);
});

/**
 * Keeps pages in memory from the moment they are touched; those never touched still take no room.
 *
 * @throws {SystemError} `ENOMEM`, `EPERM`: more than RLIMIT_MEMLOCK allows.
 */
export function lockPages(address: number, byteLength: number): void {
  check(libcMlock2(address, byteLength, MLOCK_ONFAULT), 'mlock2');
}

/** Lets the kernel take pages out of memory again. */
export function unlockPages(address: number, byteLength: number): void {
  check(libcMunlock(address, byteLength), 'munlock');
}
