import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  closeDescriptor,
  hasData,
  openPagemap,
  pageBytes,
  PageCategory,
  PagemapScanner,
  probeHost,
} from '@godwit/posix';
import { expect, onTestFinished, test } from 'vitest';
import { allocateRam, discardPages, endMissing, makeMissing } from '../src/memory/guest-ram.ts';
import type { RamBacking, RamBlock } from '../src/memory/ram-block.ts';
import { backings, bitmapWith, bytesOf, newFolder, pageOf, realRam } from './real-ram.ts';

/** Expects ERR_ARGUMENT with this in its message. */
function expectRefusal(action: () => unknown, message: RegExp): void {
  expect(action).toThrow(
    expect.objectContaining({ code: 'ERR_ARGUMENT', message: expect.stringMatching(message) }),
  );
}

/** As in /proc/self/smaps: `hg` huge pages are wanted, `nh` they are not. */
function vmFlagsOf(block: RamBlock): string {
  const smaps = readFileSync('/proc/self/smaps', 'utf8').split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/);
  const mapping = smaps.find((it) => it.startsWith(`${block.address.toString(16)}-`));
  return /^VmFlags:.*$/m.exec(mapping ?? '')?.[0] ?? '';
}

/** How many pages of the block take memory; looks without touching. */
function pagesPresent(block: RamBlock): number {
  const pagemap = openPagemap();
  try {
    const scanner = new PagemapScanner(256);
    const count = scanner.scan(pagemap, block.address, block.address + block.byteLength, {
      writeProtect: false,
      categoryMask: PageCategory.PRESENT,
      categoryAnyOf: 0,
      returnMask: PageCategory.PRESENT,
    });
    let pages = 0;
    for (let i = 0; i < count; i += 1) {
      pages += (scanner.regionEnd(i) - scanner.regionStart(i)) / block.pageBytes;
    }
    return pages;
  } finally {
    closeDescriptor(pagemap);
  }
}

for (const [kind, newBacking] of Object.entries(backings)) {
  test(`RAM of ${kind} has its blocks in order, reads as zero and keeps what is written`, () => {
    const backing = newBacking();
    const blocks = realRam([3, 1], backing);
    expect(blocks).toMatchObject([
      { id: 'ram0', byteLength: 3 * pageBytes, pageBytes, backing },
      { id: 'ram1', byteLength: pageBytes, pageBytes, backing },
    ]);
    for (const block of blocks) {
      expect(block.address % pageBytes).toBe(0);
      expect(bytesOf(block).every((byte) => byte === 0)).toBe(true);
    }
    bytesOf(blocks[0]).fill(1);
    bytesOf(blocks[1]).fill(2);
    expect(bytesOf(blocks[0]).every((byte) => byte === 1)).toBe(true);
  });

  test(`RAM of ${kind} takes no room before it is touched`, () => {
    const [block] = realRam([64], newBacking()) as [RamBlock];
    expect(pagesPresent(block)).toBe(0);
    pageOf(block, 9)[5] = 1;
    expect(pagesPresent(block)).toBe(1);
  });

  test(`when RAM of ${kind} is gone, or could not be had, no descriptor is left`, () => {
    const before = readdirSync('/proc/self/fd').length;
    const good = { id: 'a', byteLength: pageBytes };
    allocateRam([good, { ...good, id: 'b' }], newBacking())[Symbol.dispose]();
    const tooLarge = { id: 'b', byteLength: 2 ** 52 };
    expect(() => allocateRam([good, tooLarge], newBacking())).toThrow(/EFBIG|ENOMEM/);
    expect(readdirSync('/proc/self/fd').length).toBe(before);
  });

  test(`discarded pages of ${kind} read as zero, and their neighbours stay`, () => {
    const [block] = realRam([6], newBacking()) as [RamBlock];
    bytesOf(block).fill(7);
    discardPages(block, 1, 3);
    const first = [0, 1, 2, 3, 4, 5].map((page) => pageOf(block, page)[pageBytes - 1]);
    expect(first).toEqual([7, 0, 0, 0, 7, 7]);
    pageOf(block, 2)[0] = 8;
    expect(pageOf(block, 2)[0]).toBe(8);
  });

  test(`what is not received of a block of ${kind} is made missing, the rest stays`, () => {
    const [block] = realRam([6], newBacking()) as [RamBlock];
    bytesOf(block).fill(7);
    makeMissing(block, bitmapWith(6, [1, 4, 5]));
    expect(pagesPresent(block)).toBe(3);
    const first = [0, 1, 2, 3, 4, 5].map((page) => pageOf(block, page)[0]);
    expect(first).toEqual([0, 7, 0, 0, 7, 7]);
  });
}

test('anonymous RAM may have huge pages, and has none while pages are missing', () => {
  const ram = allocateRam([{ id: 'ram', byteLength: 4 * 2 ** 20 }]);
  onTestFinished(() => ram[Symbol.dispose]());
  const [block] = ram.blocks as [RamBlock];
  expect(block.address % (2 * 2 ** 20)).toBe(0);
  expect(vmFlagsOf(block)).toMatch(/ hg( |$)/);
  makeMissing(block, bitmapWith(1024, []));
  expect(vmFlagsOf(block)).toMatch(/ nh( |$)/);
  endMissing(block);
  expect(vmFlagsOf(block)).toMatch(/ hg( |$)/);
});

/** A huge page brings zeros to its neighbours: in none of them may they be taken for what arrived. */
test('neighbours that came with a huge page are missing as well', () => {
  const ram = allocateRam([{ id: 'ram', byteLength: 4 * 2 ** 20 }]);
  onTestFinished(() => ram[Symbol.dispose]());
  const [block] = ram.blocks as [RamBlock];
  pageOf(block, 3).fill(7);
  makeMissing(block, bitmapWith(1024, [3]));
  expect(pagesPresent(block)).toBe(1);
  expect(pageOf(block, 3).every((byte) => byte === 7)).toBe(true);
});

/** Another process holds the huge page that a block in a file begins with. @returns what lets go, if there is one. */
async function holdHugePage({ descriptor }: RamBlock): Promise<(() => Promise<void>) | undefined> {
  const program = new URL('../../posix/dist/testing/hold-huge-page.js', import.meta.url);
  const file = `/proc/${process.pid}/fd/${descriptor}`;
  const holder = spawn(process.execPath, [fileURLToPath(program), file]);
  onTestFinished(() => void holder.kill());
  const exited = once(holder, 'exit');
  const isHeld = await Promise.race([once(holder.stdout, 'data'), exited.then(() => undefined)]);
  if (isHeld === undefined) return undefined;
  return async () => {
    holder.stdin.end();
    await exited;
  };
}

test('pages of a huge page that somebody holds are missing once it is let go, or it is an error', async (context) => {
  const [block] = realRam([512], 'memfd') as [RamBlock];
  bytesOf(block).fill(7);
  const letGo = await holdHugePage(block);
  context.skip(letGo === undefined, 'the host has no huge pages in files');
  const received = bitmapWith(512, [0, 2]);
  expect(() => makeMissing(block, received)).toThrow(
    expect.objectContaining({ code: 'ERR_SETUP', message: expect.stringContaining("'ram0'") }),
  );
  await letGo?.();
  makeMissing(block, received);
  const isThere = [0, 1, 2, 3].map((page) => {
    return hasData(block.descriptor as number, page * pageBytes, (page + 1) * pageBytes);
  });
  expect(isThere).toEqual([true, false, true, false]);
  expect(pageOf(block, 2)[0]).toBe(7);
});

test('the files of guest RAM are told apart by block, have its size and stay', () => {
  const path = join(newFolder('/dev/shm'), 'ram');
  const specs = [
    { id: 'pc.ram', byteLength: 2 * pageBytes },
    { id: 'vga', byteLength: pageBytes },
  ];
  const ram = allocateRam(specs, `file:${path}`);
  bytesOf(ram.blocks[0])[1] = 11;
  bytesOf(ram.blocks[1])[2] = 22;
  ram[Symbol.dispose]();
  const [first, second] = [readFileSync(path), readFileSync(`${path}.vga`)];
  expect([first.byteLength, first[1]]).toEqual([2 * pageBytes, 11]);
  expect([second.byteLength, second[2]]).toEqual([pageBytes, 22]);
  expect(statSync(path).mode & 0o777).toBe(0o600); // a guest's memory is nobody else's to read
});

test('a file that is there already is refused and left as it is, even an empty one', () => {
  for (const content of ["somebody's data", '']) {
    const path = join(newFolder('/dev/shm'), 'ram');
    writeFileSync(path, content);
    const allocate = () => allocateRam([{ id: 'a', byteLength: pageBytes }], `file:${path}`);
    expectRefusal(allocate, /it must not exist yet.*EEXIST/);
    expect(readFileSync(path, 'utf8')).toBe(content);
  }
});

test('when one block cannot be had the files of the others are taken back', () => {
  const path = join(newFolder('/dev/shm'), 'ram');
  writeFileSync(`${path}.b`, 'in the way');
  const specs = ['a', 'b'].map((id) => ({ id, byteLength: pageBytes }));
  expectRefusal(() => allocateRam(specs, `file:${path}`), /cannot create/);
  expect(existsSync(path)).toBe(false);
  expect(readFileSync(`${path}.b`, 'utf8')).toBe('in the way');
});

test('a file in a folder that does not exist is refused by its path', () => {
  const path = join(newFolder('/dev/shm'), 'no', 'ram');
  const allocate = () => allocateRam([{ id: 'a', byteLength: pageBytes }], `file:${path}`);
  expectRefusal(allocate, /cannot create '.*\/no\/ram'.*ENOENT/);
});

test('a size that is not some pages is refused before anything is made', () => {
  for (const byteLength of [0, -pageBytes, pageBytes + 1, pageBytes / 2, NaN, Infinity, 2 ** 60]) {
    const path = join(newFolder('/dev/shm'), 'ram');
    const specs = [
      { id: 'good', byteLength: pageBytes },
      { id: 'bad', byteLength },
    ];
    const message = new RegExp(`'bad': ${String(byteLength).replace('+', '\\+')} bytes`);
    for (const backing of ['anon', 'memfd', `file:${path}`] as RamBacking[]) {
      expectRefusal(() => allocateRam(specs, backing), message);
    }
    expect(existsSync(path)).toBe(false);
  }
});

test('more RAM than there are addresses is an error, and no file is left', () => {
  const path = join(newFolder('/dev/shm'), 'ram');
  const specs = [
    { id: 'a', byteLength: pageBytes },
    { id: 'b', byteLength: 2 ** 52 },
  ];
  expect(() => allocateRam(specs, `file:${path}`)).toThrow(/EFBIG|ENOMEM/);
  expect([existsSync(path), existsSync(`${path}.b`)]).toEqual([false, false]);
  expect(() => allocateRam(specs, 'anon')).toThrow(/ENOMEM/);
});

test('an id that is empty, too long or not unique is refused by name', () => {
  const byteLength = pageBytes;
  const allocate = (...ids: string[]) => allocateRam(ids.map((id) => ({ id, byteLength })));
  expectRefusal(() => allocate(''), /id ''/);
  expectRefusal(() => allocate('é'.repeat(128)), /id 'é+' is empty, too long/); // 256 bytes
  expectRefusal(() => allocate('a', 'b', 'a'), /id 'a'/);
  const ram = allocate('é'.repeat(127), 'b');
  expect(ram.blocks).toHaveLength(2);
  ram[Symbol.dispose]();
});

test('disposing of RAM twice unmaps it once', () => {
  // So large that nothing else is mapped just there meanwhile.
  const ram = allocateRam([{ id: 'a', byteLength: 2 ** 30 }]);
  const { address } = ram.blocks[0] as RamBlock;
  expect(readFileSync('/proc/self/maps', 'utf8')).toContain(`${address.toString(16)}-`);
  ram[Symbol.dispose]();
  ram[Symbol.dispose]();
  expect(readFileSync('/proc/self/maps', 'utf8')).not.toContain(`${address.toString(16)}-`);
});

test.runIf(probeHost().mappingNames.available)('anonymous RAM is named among the mappings', () => {
  const [block] = realRam([1], 'anon') as [RamBlock];
  const maps = readFileSync('/proc/self/maps', 'utf8');
  const line = maps.split('\n').find((it) => it.startsWith(`${block.address.toString(16)}-`));
  expect(line).toContain('godwit ram0');
});
