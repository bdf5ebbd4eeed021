import { openMemoryPages, PAGE_BYTES, type MemoryPages } from '../src/pages/memory-pages.ts';

/** Blocks of so many pages each, in ordinary arrays; one segment holds no more than two pages. */
export function memoryOnHeap(...blockPages: readonly number[]): MemoryPages {
  const blocks = blockPages.map((pages, index) => ({
    id: `block${index}`,
    byteLength: pages * PAGE_BYTES,
    pageBytes: PAGE_BYTES,
    address: 0,
    backing: 'anon' as const,
  }));
  return openMemoryPages(blocks, (_, byteLength) => new ArrayBuffer(byteLength), 2 * PAGE_BYTES);
}
