import type { PortableTables } from './portable-tables.ts';

/** Where the bytes of a block live: private memory, a memfd, or a file that outlives the process. */
export type RamBacking = 'anon' | 'memfd' | `file:${string}`;

/**
 * How missing and written pages are noticed: by the kernel, whoever touches them; or by the guest itself,
 * which then accesses its memory by `RamAccess` alone.
 */
export type MemoryMode = 'userfault' | 'portable';

/**
 * One contiguous part of guest RAM, mapped into this process. Structured-cloneable: threads of the
 * same process are given the block and view its address.
 */
export interface RamBlock {
  /** The block's name, the same on both sides of a migration, as QEMU's (`pc.ram`); ≤ 255 bytes. */
  readonly id: string;
  /** A multiple of `pageBytes`. */
  readonly byteLength: number;
  readonly pageBytes: number;
  /** Page-aligned, valid in this process only. */
  readonly address: number;
  readonly backing: RamBacking;
  /** Of the memfd or file behind it; closed with the RAM. Anonymous memory has none. */
  readonly descriptor?: number;
  /** In portable mode; shared by who accesses the block and who migrates it. */
  readonly portable?: PortableTables;
}
