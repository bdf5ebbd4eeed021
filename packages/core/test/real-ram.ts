import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Advice, advise, pageBytes, viewMemory } from '@godwit/posix';
import { onTestFinished } from 'vitest';
import { allocateRam } from '../src/memory/guest-ram.ts';
import { PageBitmap } from '../src/memory/page-bitmap.ts';
import type { RamBacking, RamBlock } from '../src/memory/ram-block.ts';

/** Every kind of guest RAM; a backing is good for one allocation. */
export const backings: Readonly<Record<string, () => RamBacking>> = {
  'anonymous memory': () => 'anon',
  'a memfd': () => 'memfd',
  'a file in memory': () => `file:${join(newFolder('/dev/shm'), 'ram')}`,
  'a file on disk': () => `file:${join(newFolder('/var/tmp'), 'ram')}`,
};

/** A folder that is gone with the test. */
export function newFolder(parent: string): string {
  const folder = mkdtempSync(join(parent, 'godwit-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** A block for each count of pages, mapped until the test ends and never of huge pages. */
export function realRam(
  blockPages: readonly number[],
  backing: RamBacking = 'anon',
): readonly RamBlock[] {
  const specs = blockPages.map((pages, i) => ({ id: `ram${i}`, byteLength: pages * pageBytes }));
  const ram = allocateRam(specs, backing);
  onTestFinished(() => ram[Symbol.dispose]());
  for (const block of ram.blocks) advise(block.address, block.byteLength, Advice.NOHUGEPAGE);
  return ram.blocks;
}

/** The same for a guest that uses an accessor. */
export function realPortableRam(
  blockPages: readonly number[],
  backing: RamBacking = 'anon',
): readonly RamBlock[] {
  const specs = blockPages.map((pages, i) => ({ id: `ram${i}`, byteLength: pages * pageBytes }));
  const ram = allocateRam(specs, backing, 'portable');
  onTestFinished(() => ram[Symbol.dispose]());
  return ram.blocks;
}

export function bytesOf(block: RamBlock | undefined): Uint8Array {
  if (block === undefined) throw new Error('no such block');
  return new Uint8Array(viewMemory(block.address, block.byteLength));
}

export function pageOf(block: RamBlock | undefined, page: number): Uint8Array {
  return bytesOf(block).subarray(page * pageBytes, (page + 1) * pageBytes);
}

export function bitmapsOf(blocks: readonly RamBlock[]): readonly PageBitmap[] {
  return blocks.map((block) => new PageBitmap(block.byteLength / block.pageBytes));
}

export function pagesIn(bitmap: PageBitmap | undefined): number[] {
  const pages: number[] = [];
  bitmap?.forEachRun((first, count) => {
    for (let page = first; page < first + count; page += 1) pages.push(page);
  });
  return pages;
}

export function bitmapWith(pageCount: number, pages: Iterable<number>): PageBitmap {
  const bitmap = new PageBitmap(pageCount);
  for (const page of pages) bitmap.add(page);
  return bitmap;
}
