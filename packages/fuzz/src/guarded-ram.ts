import { randomFillSync } from 'node:crypto';
import {
  allocateRam,
  type GuestRam,
  type MemoryMode,
  PageBitmap,
  type RamBlock,
} from '@godwit/core';
import {
  PageCategory,
  PagemapScanner,
  openPagemap,
  closeDescriptor,
  pageBytes,
  viewMemory,
} from '@godwit/posix';

/** Of a block that ends within a word of its bitmap, of one that fills its words, and of one page. */
export const blockPages: readonly number[] = [70, 32, 1];

const GUARD_PAGES = 8;
const GUARD_BYTE = 0xc3;

/** Guest RAM, and memory on both sides of each block that nobody may touch. */
export class GuardedRam implements Disposable {
  readonly blocks: readonly RamBlock[];
  readonly #ram: GuestRam;
  readonly #guards: Uint8Array[] = [];

  /** In portable mode blocks lie where they are mapped: there nothing is beside them to be looked at. */
  constructor(mode: MemoryMode) {
    const specs = blockPages.map((pages, i) => ({ id: `ram${i}`, byteLength: pages * pageBytes }));
    if (mode === 'portable') {
      this.#ram = allocateRam(specs, 'anon', 'portable');
      this.blocks = this.#ram.blocks;
      return;
    }
    const pages = blockPages.reduce((sum, count) => sum + count + GUARD_PAGES, GUARD_PAGES);
    this.#ram = allocateRam([{ id: 'area', byteLength: pages * pageBytes }]);
    const area = this.#ram.blocks[0] as RamBlock;
    let address = area.address;
    this.blocks = specs.map(({ id, byteLength }) => {
      this.#guard(address);
      address += GUARD_PAGES * pageBytes;
      const block: RamBlock = { id, byteLength, address, pageBytes, backing: 'anon' };
      address += byteLength;
      return block;
    });
    this.#guard(address);
  }

  /** Is all that lies around guest RAM as it was? */
  get isGuardIntact(): boolean {
    return this.#guards.every((guard) => guard.every((byte) => byte === GUARD_BYTE));
  }

  /** Content that differs from page to page: some compress well, some do not, each seventh is of zeros. */
  fill(): void {
    for (const [index, block] of this.blocks.entries()) {
      for (let page = 0; page < block.byteLength / pageBytes; page++) {
        if (page % 7 === 6) continue;
        const bytes = pageOf(block, page);
        if (page % 2 === 0) bytes.fill(index * 80 + page + 1);
        else randomFillSync(bytes);
      }
      if (block.portable !== undefined) {
        new PageBitmap(block.byteLength / pageBytes, block.portable.written).fill();
      }
    }
  }

  /** The pages of a block that exist; to look at another one could mean to wait for it for ever. */
  presentPages(block: RamBlock): ReadonlySet<number> {
    const pages = new Set<number>();
    const pagemap = openPagemap();
    try {
      const scanner = new PagemapScanner(1024);
      const query = {
        writeProtect: false,
        categoryMask: PageCategory.PRESENT,
        categoryAnyOf: 0,
        returnMask: PageCategory.PRESENT,
      };
      const end = block.address + block.byteLength;
      const regions = scanner.scan(pagemap, block.address, end, query);
      for (let i = 0; i < regions; i++) {
        for (let at = scanner.regionStart(i); at < scanner.regionEnd(i); at += pageBytes) {
          pages.add((at - block.address) / pageBytes);
        }
      }
      return pages;
    } finally {
      closeDescriptor(pagemap);
    }
  }

  [Symbol.dispose](): void {
    this.#ram[Symbol.dispose]();
  }

  #guard(address: number): void {
    const guard = new Uint8Array(viewMemory(address, GUARD_PAGES * pageBytes));
    this.#guards.push(guard.fill(GUARD_BYTE));
  }
}

export function pageOf(block: RamBlock, page: number): Uint8Array {
  return new Uint8Array(viewMemory(block.address + page * pageBytes, pageBytes));
}
