import { fstatSync, openSync, unlinkSync } from 'node:fs';
import {
  Advice,
  advise,
  closeDescriptor,
  createMemfd,
  hasData,
  mapAnonymous,
  mapShared,
  pageBytes,
  setFileBytes,
  tryLockFile,
  unmap,
} from '@godwit/posix';
import { MigrationError } from '../errors.ts';
import type { PageBitmap } from './page-bitmap.ts';
import { closePortableRam, openPortableRam, portableTables } from './portable-ram.ts';
import type { MemoryMode, RamBacking, RamBlock } from './ram-block.ts';

/** Of x86-64, and of arm64 with pages of 4 KiB. */
const HUGE_PAGE_BYTES = 2 * 1024 * 1024;

export interface RamBlockSpec {
  readonly id: string;
  /** A multiple of the page size. */
  readonly byteLength: number;
}

/** The mappings of a guest's RAM; unmapped when disposed, after every thread that touches them. */
export interface GuestRam extends Disposable {
  readonly blocks: readonly RamBlock[];
}

/**
 * Maps fresh RAM that reads as zero and takes no room before it is touched.
 *
 * @param backing with `file:PATH` the first block lives in PATH, the others in PATH.ID; the files
 *   must not exist yet, and stay when the RAM is gone.
 * @param options.taken the files exist, and hold what an earlier process has left; they stay in any case.
 * @param mode `portable` is for a guest that accesses its memory by `RamAccess` alone.
 * @throws {MigrationError} `ERR_ARGUMENT`: sizes, ids, or a file that exists or cannot be created;
 *   no file of ours is left.
 */
export function allocateRam(
  specs: readonly RamBlockSpec[],
  backing: RamBacking = 'anon',
  mode: MemoryMode = 'userfault',
  { taken = false }: { readonly taken?: boolean } = {},
): GuestRam {
  for (const spec of specs) checkSpec(spec, specs);
  const blocks: RamBlock[] = [];
  let portable = mode === 'portable' ? openPortableRam() : undefined;
  const release = (): void => {
    if (portable !== undefined) closePortableRam(portable);
    portable = undefined;
    for (const block of blocks.splice(0)) {
      unmap(block.address, block.byteLength);
      if (block.descriptor !== undefined) closeDescriptor(block.descriptor);
    }
  };
  try {
    for (const [index, spec] of specs.entries()) {
      const block = taken ? takeBlock(spec, backing, index) : mapBlock(spec, backing, index);
      const pages = block.byteLength / block.pageBytes;
      blocks.push(portable ? { ...block, portable: portableTables(portable, pages) } : block);
    }
  } catch (error) {
    for (const index of taken ? [] : blocks.keys()) {
      removeFile(specs[index] as RamBlockSpec, backing, index);
    }
    release();
    throw error;
  }
  return { blocks: [...blocks], [Symbol.dispose]: release };
}

/** Throws the content of pages away: they are as if never touched. */
export function discardPages(block: RamBlock, firstPage: number, pageCount: number): void {
  // DONTNEED would only unmap a shared page: the file would still hold it.
  const advice = block.backing === 'anon' ? Advice.DONTNEED : Advice.REMOVE;
  advise(block.address + firstPage * block.pageBytes, pageCount * block.pageBytes, advice);
}

/** Who holds a huge page for longer holds it for good. */
const HELD_MILLIS_MAX = 500;
/** To sleep on: nobody ever wakes who does. */
const never = new Int32Array(new SharedArrayBuffer(4));

/**
 * As `discardPages`, and the pages can be missing: they are not there, rather than zero. The kernel does not
 * split a huge page of a file that somebody holds, be it itself for a moment, to move memory about. It clears
 * that part of it, leaves it in the file, and reports success: a guest would read zeros there, and what comes
 * to be placed there would pass for a duplicate.
 *
 * @throws {MigrationError} `ERR_SETUP`: they are not let go.
 */
export function removePages(block: RamBlock, firstPage: number, pageCount: number): void {
  const { id, pageBytes: bytes, descriptor, portable } = block;
  discardPages(block, firstPage, pageCount);
  if (descriptor === undefined || portable !== undefined) return;
  const [start, end] = [firstPage * bytes, (firstPage + pageCount) * bytes];
  for (let millis = 0; hasData(descriptor, start, end); millis++) {
    if (millis === HELD_MILLIS_MAX) {
      const message = `RAM block '${id}' keeps pages that are to be missing: something holds its huge pages`;
      throw new MigrationError('ERR_SETUP', message);
    }
    Atomics.wait(never, 0, 0, 1);
    discardPages(block, firstPage, pageCount);
  }
}

/** Throws all content away: RAM is as if nobody had ever touched it. While no migration uses it. */
export function emptyRam(blocks: readonly RamBlock[]): void {
  for (const block of blocks) {
    discardPages(block, 0, block.byteLength / block.pageBytes);
    endMissing(block);
  }
}

/**
 * Makes a block fit to have missing pages: every page that is not received is missing from here on, and
 * none is given a huge page, whose first touch would bring zeros to neighbours that have not arrived (in
 * portable mode nobody touches those).
 *
 * @throws as `removePages`.
 */
export function makeMissing(block: RamBlock, received: PageBitmap): void {
  if (block.portable === undefined) adviseIfKnown(block, Advice.NOHUGEPAGE);
  for (let page = received.nextClear(0); page >= 0;) {
    const known = received.next(page);
    const end = known < 0 ? received.pages : known;
    removePages(block, page, end - page);
    page = received.nextClear(end);
  }
}

/** No page is missing: memory may be what is fastest again, as when it was allocated. */
export function endMissing(block: RamBlock): void {
  if (block.backing === 'anon') adviseIfKnown(block, Advice.HUGEPAGE);
}

/** A kernel without huge pages does not know the advice and does not need it. */
function adviseIfKnown(block: RamBlock, advice: Advice): void {
  try {
    advise(block.address, block.byteLength, advice);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
  }
}

function checkSpec(spec: RamBlockSpec, specs: readonly RamBlockSpec[]): void {
  const { id, byteLength } = spec;
  if (id === '' || Buffer.byteLength(id) > 255 || specs.some((s) => s !== spec && s.id === id)) {
    throw new MigrationError(
      'ERR_ARGUMENT',
      `RAM block id '${id}' is empty, too long or not unique`,
    );
  }
  if (!Number.isSafeInteger(byteLength) || byteLength <= 0 || byteLength % pageBytes !== 0) {
    const message = `RAM block '${id}': ${byteLength} bytes are not a positive multiple of ${pageBytes}`;
    throw new MigrationError('ERR_ARGUMENT', message);
  }
}

function mapBlock(spec: RamBlockSpec, backing: RamBacking, index: number): RamBlock {
  if (backing === 'anon') {
    const name = `godwit ${spec.id}`;
    const address = mapAnonymous(spec.byteLength, { name, alignment: HUGE_PAGE_BYTES });
    const block: RamBlock = { ...spec, pageBytes, address, backing };
    adviseIfKnown(block, Advice.HUGEPAGE);
    // Programs that this process starts do not need it, and to share its pages with them costs the guest.
    adviseIfKnown(block, Advice.DONTFORK);
    return block;
  }
  const descriptor =
    backing === 'memfd'
      ? createMemfd(`godwit ${spec.id}`)
      : createFile(filePath(spec, backing, index));
  try {
    if (backing !== 'memfd') lockFile(descriptor, filePath(spec, backing, index));
    setFileBytes(descriptor, spec.byteLength);
    const address = mapShared(descriptor, spec.byteLength);
    return { ...spec, pageBytes, address, backing, descriptor };
  } catch (error) {
    closeDescriptor(descriptor);
    removeFile(spec, backing, index);
    throw error;
  }
}

/** A file that an earlier process of this guest has left. */
function takeBlock(spec: RamBlockSpec, backing: RamBacking, index: number): RamBlock {
  if (backing === 'anon' || backing === 'memfd') {
    throw new MigrationError('ERR_ARGUMENT', `RAM of ${backing} does not outlive a process`);
  }
  const path = filePath(spec, backing, index);
  const descriptor = openFile(path, 'r+', 'it must hold what an earlier process has left');
  try {
    lockFile(descriptor, path);
    const { size } = fstatSync(descriptor);
    if (size !== spec.byteLength) {
      const message = `'${path}' has ${size} bytes, guest RAM ${spec.byteLength}`;
      throw new MigrationError('ERR_ARGUMENT', message);
    }
    const address = mapShared(descriptor, spec.byteLength);
    return { ...spec, pageBytes, address, backing, descriptor };
  } catch (error) {
    closeDescriptor(descriptor);
    throw error;
  }
}

/** Two processes over one file would be one guest that runs twice. */
function lockFile(descriptor: number, path: string): void {
  if (tryLockFile(descriptor)) return;
  throw new MigrationError('ERR_ARGUMENT', `another process has '${path}' for guest RAM`);
}

function filePath(spec: RamBlockSpec, backing: `file:${string}`, index: number): string {
  return backing.slice('file:'.length) + (index === 0 ? '' : `.${spec.id}`);
}

/** Takes back a file that `createFile` has made, so that the next attempt finds none. */
function removeFile(spec: RamBlockSpec, backing: RamBacking, index: number): void {
  if (backing === 'anon' || backing === 'memfd') return;
  unlinkSync(filePath(spec, backing, index));
}

function createFile(path: string): number {
  // "x": what is there already may be somebody's data, and would not be this guest's.
  return openFile(path, 'wx+', 'it must not exist yet');
}

function openFile(path: string, flags: 'wx+' | 'r+', expectation: string): number {
  try {
    return openSync(path, flags, 0o600);
  } catch (cause) {
    const why = (cause as Error).message;
    const verb = flags === 'r+' ? 'open' : 'create';
    const message = `cannot ${verb} '${path}' for guest RAM (${expectation}): ${why}`;
    throw new MigrationError('ERR_ARGUMENT', message, { cause });
  }
}
