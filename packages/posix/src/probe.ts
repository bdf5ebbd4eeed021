import { readFileSync } from 'node:fs';
import { freemem, release, totalmem } from 'node:os';
import { ENOTTY, SystemError } from './errors.ts';
import { closeDescriptor, openFile } from './io.ts';
import { checkIoctl } from './ioctl.ts';
import { createMemfd } from './memory-files.ts';
import { NativeBuffer, nameMapping, pageBytes } from './mmap.ts';
import { PageCategory, PagemapScanner, openPagemap } from './pagemap.ts';
import {
  Features,
  RegisterMode,
  openUserfaultfd,
  probeUserfaultfd,
  registerRange,
  type UserfaultfdSupport,
} from './userfaultfd.ts';

const O_RDWR = 2;
const KVM_GET_API_VERSION = 0xae00;

/** Whether the host does something, and if not, why: the failed call in one line. */
export type Capability =
  | { readonly available: true }
  | { readonly available: false; readonly reason: string };

export type UserfaultfdCapability = {
  /** The names in `Features` that the kernel knows; empty where userfaultfd is refused. */
  readonly features: readonly (keyof typeof Features)[];
  /** Commands, one of which would lift the restriction; empty where there is none. */
  readonly remedy: readonly string[];
} & (
  | { readonly available: true; readonly how: UserfaultfdSupport['how'] }
  | { readonly available: false; readonly reason: string }
);

/** What lets the kernel notice missing and written pages. */
export interface MemoryCapabilities {
  readonly userfaultfd: UserfaultfdCapability;
  readonly pagemapScan: Capability;
  /** Dirty tracking by WP_ASYNC and PAGEMAP_SCAN together, tried out on a page. */
  readonly wpAsync: Capability;
}

/** What this host and this process's privileges offer to a migration. */
export interface HostCapabilities extends MemoryCapabilities {
  readonly platform: string;
  readonly kernelRelease: string;
  readonly arch: string;
  readonly pageBytes: number;
  readonly memfd: Capability;
  readonly kvm: Capability;
  /** Names of anonymous mappings in /proc/self/maps. */
  readonly mappingNames: Capability;
  /** Memory that is only read takes no page of its own, and the kernel tells it by PFNZERO. */
  readonly zeroPage: Capability;
  readonly memory: {
    readonly totalBytes: number;
    /** Without swapping, and within the limit of this process's control group. */
    readonly availableBytes: number;
    /** RLIMIT_MEMLOCK; absent where there is no limit, or it cannot be read. */
    readonly lockedBytesMax?: number;
  };
  /** What `setSocketBuffers` is granted at most, and what TCP grows to by itself. */
  readonly sockets: {
    readonly sendBytesMax?: number;
    readonly receiveBytesMax?: number;
    readonly tcpSendBytesMax?: number;
    readonly tcpReceiveBytesMax?: number;
  };
}

/** Tries out what the host offers, on memory of its own. Never throws: a refusal is an answer. */
export function probeHost(): HostCapabilities {
  return {
    platform: process.platform,
    kernelRelease: release(),
    arch: process.arch,
    pageBytes,
    ...probeMemory(),
    memfd: attempt(() => closeDescriptor(createMemfd('probe'))),
    kvm: attempt(tryKvm),
    mappingNames: attempt(tryMappingName),
    zeroPage: attempt(tryZeroPage),
    memory: {
      totalBytes: totalmem(),
      availableBytes: Math.min(freemem(), process.availableMemory()),
      ...optional('lockedBytesMax', readNumber('/proc/self/limits', /^Max locked memory +(\d+)/m)),
    },
    sockets: {
      ...optional('sendBytesMax', readNumber('/proc/sys/net/core/wmem_max', /(\d+)/)),
      ...optional('receiveBytesMax', readNumber('/proc/sys/net/core/rmem_max', /(\d+)/)),
      ...optional('tcpSendBytesMax', readNumber('/proc/sys/net/ipv4/tcp_wmem', /(\d+)\s*$/)),
      ...optional('tcpReceiveBytesMax', readNumber('/proc/sys/net/ipv4/tcp_rmem', /(\d+)\s*$/)),
    },
  };
}

/** Of `probeHost` what decides how a guest's memory is watched; a millisecond. Never throws. */
export function probeMemory(): MemoryCapabilities {
  const userfaultfd = userfaultfdCapability();
  const userModeOnly = userfaultfd.available && userfaultfd.how === 'user-mode-only';
  return {
    userfaultfd,
    pagemapScan: attempt(tryPagemapScan),
    wpAsync: attempt(() => tryWriteTracking(userModeOnly)),
  };
}

function userfaultfdCapability(): UserfaultfdCapability {
  try {
    const { how, features } = probeUserfaultfd();
    const names = Object.keys(Features) as (keyof typeof Features)[]; // a literal: no other keys
    return {
      available: true,
      how,
      features: names.filter((name) => (features & Features[name]) !== 0),
      remedy: how === 'user-mode-only' ? waysToUserfaultfd() : [],
    };
  } catch (error) {
    const remedy = process.platform === 'linux' ? waysToUserfaultfd() : [];
    return { available: false, reason: reasonOf(error), features: [], remedy };
  }
}

/**
 * For root to run, from the narrowest grant to the widest. A container's seccomp profile refuses
 * the system call whatever these say; then the device is the way, passed into the container.
 */
function waysToUserfaultfd(): readonly string[] {
  const group = process.getgid?.() ?? 0;
  return [
    `chgrp ${group} /dev/userfaultfd && chmod g+rw /dev/userfaultfd`,
    `setcap cap_sys_ptrace+ep ${process.execPath}`,
    'sysctl -w vm.unprivileged_userfaultfd=1',
  ];
}

function tryPagemapScan(): void {
  using memory = new NativeBuffer(pageBytes);
  memory.bytes[0] = 1;
  const regions = scanPage(memory.address, false, PageCategory.PRESENT);
  if (regions !== 1) throw new Error('PAGEMAP_SCAN does not report a page that was just written');
}

function tryWriteTracking(userModeOnly: boolean): void {
  const features = Features.WP_ASYNC | Features.WP_UNPOPULATED;
  using memory = new NativeBuffer(pageBytes);
  const uffd = openUserfaultfd({ userModeOnly, features });
  try {
    registerRange(uffd, memory.address, pageBytes, RegisterMode.WP);
    scanPage(memory.address, true, PageCategory.WRITTEN);
    const before = scanPage(memory.address, false, PageCategory.WRITTEN);
    memory.bytes[0] = 1; // does not wait for anyone: the kernel answers WP_ASYNC faults itself
    const after = scanPage(memory.address, false, PageCategory.WRITTEN);
    if (before !== 0 || after !== 1) throw new Error('writes to protected pages are not reported');
  } finally {
    closeDescriptor(uffd);
  }
}

function scanPage(address: number, writeProtect: boolean, category: number): number {
  const pagemap = openPagemap();
  try {
    return new PagemapScanner(1).scan(pagemap, address, address + pageBytes, {
      writeProtect,
      categoryMask: category,
      categoryAnyOf: 0,
      returnMask: category,
    });
  } finally {
    closeDescriptor(pagemap);
  }
}

function tryKvm(): void {
  const kvm = openFile('/dev/kvm', O_RDWR);
  try {
    checkIoctl('ioctl KVM_GET_API_VERSION', kvm, KVM_GET_API_VERSION, 0);
  } finally {
    closeDescriptor(kvm);
  }
}

function tryZeroPage(): void {
  using memory = new NativeBuffer(pageBytes);
  memory.bytes.at(0); // a read
  if (scanPage(memory.address, false, PageCategory.PFNZERO) !== 1) {
    throw new Error('the kernel gives pages of their own to who only reads');
  }
}

function tryMappingName(): void {
  using memory = new NativeBuffer(pageBytes);
  if (!nameMapping(memory.address, pageBytes, 'probe')) {
    throw new Error('the kernel was built without CONFIG_ANON_VMA_NAME');
  }
}

function attempt(action: () => void): Capability {
  try {
    action();
    return { available: true };
  } catch (error) {
    return { available: false, reason: reasonOf(error) };
  }
}

function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const old = error instanceof SystemError && error.errno === ENOTTY;
  return old ? `${message} (this kernel does not know the request)` : message;
}

/** The number a file of /proc holds where the pattern says; undefined where it has none. */
function readNumber(path: string, pattern: RegExp): number | undefined {
  try {
    const digits = pattern.exec(readFileSync(path, 'utf8'))?.[1];
    return digits === undefined ? undefined : Number(digits);
  } catch {
    return undefined; // this host has no such file, or hides it: it is a detail of the report
  }
}

function optional<Key extends string>(
  key: Key,
  value: number | undefined,
): { [K in Key]?: number } {
  if (value === undefined) return {};
  const entry: { [K in Key]?: number } = {};
  entry[key] = value;
  return entry;
}
