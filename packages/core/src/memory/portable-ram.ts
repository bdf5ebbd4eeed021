import { closeDescriptor, socketPair } from '@godwit/posix';
import { MigrationError } from '../errors.ts';
import { PageBitmap } from './page-bitmap.ts';
import type { PortableTables } from './portable-tables.ts';
import type { MemoryMode, RamBlock } from './ram-block.ts';

/** What the blocks of one guest have in common. */
export type PortableRam = Pick<PortableTables, 'served' | 'missesWriter' | 'missesReader'>;

export function openPortableRam(): PortableRam {
  const [missesWriter, missesReader] = socketPair();
  return { served: new SharedArrayBuffer(4), missesWriter, missesReader };
}

/** After every thread that accesses the RAM. */
export function closePortableRam({ missesWriter, missesReader }: PortableRam): void {
  closeDescriptor(missesWriter);
  closeDescriptor(missesReader);
}

/** Of a block whose pages are all here, and none of them was ever written. */
export function portableTables(ram: PortableRam, pages: number): PortableTables {
  const received = new PageBitmap(pages);
  received.fill();
  return {
    ...ram,
    received: received.buffer,
    missing: new PageBitmap(pages).buffer,
    written: new PageBitmap(pages).buffer,
    existing: new PageBitmap(pages).buffer,
    tracked: new SharedArrayBuffer(4),
  };
}

/**
 * How the pages of a guest are watched, which its blocks say.
 *
 * @throws {MigrationError} `ERR_ARGUMENT`: they do not agree, or are of several allocations, whose misses
 *   nobody would hear of.
 */
export function memoryModeOf(blocks: readonly RamBlock[]): MemoryMode {
  const served = blocks[0]?.portable?.served;
  if (blocks.some((block) => block.portable?.served !== served)) {
    const message =
      'the RAM blocks of one guest must be of one allocateRam: all userfault, or all portable';
    throw new MigrationError('ERR_ARGUMENT', message);
  }
  return served === undefined ? 'userfault' : 'portable';
}

/** The bitmap of a block's table, as the calling thread sees it. */
export function tableBitmap(
  { byteLength, pageBytes }: RamBlock,
  table: SharedArrayBuffer,
): PageBitmap {
  return new PageBitmap(byteLength / pageBytes, table);
}
