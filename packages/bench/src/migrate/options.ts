import { allocateRam, type Capability, type GuestRam, type MemoryMode } from '@godwit/core';
import type { Workload } from '@godwit/guest';

export const benchModes = ['precopy', 'postcopy', 'recovery'] as const;
export type BenchMode = (typeof benchModes)[number];

export const benchTransports = ['unix', 'tcp'] as const;
export type BenchTransport = (typeof benchTransports)[number];

/** What a migration may have that costs something. */
export const benchCapabilities = ['x-checksum', 'x-ram-digest'] as const satisfies Capability[];
export type BenchCapability = (typeof benchCapabilities)[number];

export interface MigrateBenchOptions {
  readonly mode: BenchMode;
  readonly transport: BenchTransport;
  /** Of the guest, every page non-zero; a multiple of the page size. */
  readonly memoryBytes: number;
  /** What the guest has beside that and has never touched; not preallocated, and not pumped. */
  readonly untouchedBytes?: number;
  /** Of both guests; default userfault. */
  readonly memoryMode?: MemoryMode;
  /** Streams of pages, 1 to 16, of migration and pump alike; from 2 on with capability multifd. */
  readonly channels: number;
  /** Page channels compress with zlib, this hard, 0 to 9; left out, they do not. Not of the pump. */
  readonly zlibLevel?: number;
  /** Every connection of a migration is encrypted, with a key of its own; not of the pump. */
  readonly tls?: true;
  /** Of the migration, beside those that the other options need; not of the pump. */
  readonly capabilities?: readonly BenchCapability[];
  readonly workload: Workload;
  /** Pages/s that the guest visits; 0 is unlimited. */
  readonly rate: number;
  readonly runs: number;
  /** Precopy into memory that the destination has never touched, as users have it. */
  readonly fresh: boolean;
  readonly downtimeLimitMillis: number;
  /** Bytes/s in postcopy, requested pages apart; 0 is unlimited. */
  readonly postcopyBandwidth: number;
  /** Another engine to measure in turn with ours. */
  readonly peer?: PeerOptions;
}

export const benchPeers = ['qemu'] as const;
export type BenchPeer = (typeof benchPeers)[number];

export interface PeerOptions {
  readonly type: BenchPeer;
  /** What starts it; left out, as Debian calls it. */
  readonly command?: string;
}

/** A precopy is measured without a guest that writes; a postcopy needs one that misses pages. */
export function defaultGuest(mode: BenchMode): { workload: Workload; rate: number } {
  return mode === 'precopy' ? { workload: 'idle', rate: 0 } : { workload: 'random', rate: 100_000 };
}

/**
 * What the destination's memory is like when the clock starts, for migrations and pumps alike.
 *
 * | kind | the memory itself | the host's pages behind it |
 * |---|---|---|
 * | preallocated | touched | ours |
 * | warmed | never touched, 4 KiB pages | touched and given back a moment before |
 * | fresh | never touched | unknown: perhaps the host must fetch them first |
 */
export type MemoryKind = 'preallocated' | 'warmed' | 'fresh';

/** Postcopy empties the destination's RAM at its start, so nothing can be preallocated there. */
export function memoryKind({ mode, fresh }: MigrateBenchOptions): MemoryKind {
  if (fresh) return 'fresh';
  return mode === 'precopy' ? 'preallocated' : 'warmed';
}

/** What both sides must know of a guest's memory. */
export type GuestMemory = Pick<
  MigrateBenchOptions,
  'memoryBytes' | 'untouchedBytes' | 'memoryMode'
>;

export function guestMemory(options: MigrateBenchOptions): GuestMemory {
  const { memoryBytes, untouchedBytes = 0, memoryMode = 'userfault' } = options;
  return { memoryBytes, untouchedBytes, memoryMode };
}

/** The guest's RAM blocks, the same on both sides; the first is the one that it uses. */
export function allocateGuestRam(memory: GuestMemory): GuestRam {
  const { memoryBytes, untouchedBytes = 0, memoryMode = 'userfault' } = memory;
  const used = { id: 'pc.ram', byteLength: memoryBytes };
  const untouched = { id: 'untouched', byteLength: untouchedBytes };
  return allocateRam(untouchedBytes === 0 ? [used] : [used, untouched], 'anon', memoryMode);
}

/** @throws {RangeError} saying what is not possible. */
export function checkOptions(options: MigrateBenchOptions): void {
  const { channels, runs, memoryBytes } = options;
  if (!Number.isSafeInteger(channels) || channels < 1 || channels > CHANNELS_MAX) {
    throw new RangeError(`--channels ${channels}: expected 1 to ${CHANNELS_MAX}`);
  }
  checkRuns(runs);
  checkCompression(options);
  const isWhole = Number.isSafeInteger(memoryBytes) && memoryBytes % PAGE_BYTES === 0;
  if (!isWhole || memoryBytes < MEMORY_BYTES_MIN) {
    throw new RangeError(`--memory ${memoryBytes}: expected pages of 4 KiB, at least 16 MiB`);
  }
}

function checkCompression({ zlibLevel, channels }: MigrateBenchOptions): void {
  if (zlibLevel === undefined) return;
  if (channels < 2) throw new RangeError('--compression zlib: takes --channels 2 or more');
  if (!Number.isSafeInteger(zlibLevel) || zlibLevel < 0 || zlibLevel > ZLIB_LEVEL_MAX) {
    throw new RangeError(`--zlib-level ${zlibLevel}: expected 0 to ${ZLIB_LEVEL_MAX}`);
  }
}

/** @throws {RangeError} saying what is possible. */
export function checkRuns(runs: number): void {
  if (!Number.isSafeInteger(runs) || runs < 1 || runs > RUNS_MAX) {
    throw new RangeError(`--runs ${runs}: expected 1 to ${RUNS_MAX}`);
  }
}

const RUNS_MAX = 1000;
const CHANNELS_MAX = 16;
const ZLIB_LEVEL_MAX = 9;
const PAGE_BYTES = 4096;
const MEMORY_BYTES_MIN = 16 * 2 ** 20;
