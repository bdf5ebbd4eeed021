import { beforeEach, expect, test } from 'vitest';
import { Advice, advise, mapAnonymous, pageBytes, unmap } from '../src/mmap.ts';
import {
  CopyMode,
  copyPages,
  tryContinuePages,
  tryCopyPages,
  tryZeroPages,
  wakeRange,
  writeProtectRange,
} from '../src/userfaultfd-pages.ts';
import { Features, RegisterMode, registerRange } from '../src/userfaultfd.ts';
import {
  type Mapping,
  anonymous,
  buffer,
  memfd,
  openUffd,
  shared,
  userfaultfd,
} from './resources.ts';

beforeEach((context) => {
  if (userfaultfd === undefined) context.skip('this process may not have a userfaultfd');
});

const ENOENT = 2;
const EFAULT = 14;
const EEXIST = 17;
const EINVAL = 22;

/*
 * A missing page must not be touched here: nobody serves this thread, so it would wait for ever.
 * `fault-reader.test.ts` has another thread touch them.
 */

const kinds: Record<string, (byteLength: number) => Mapping> = {
  'anonymous memory': anonymous,
  'a file in memory': (byteLength) => shared(memfd(byteLength), byteLength),
};

/** Four missing pages, and a source of four pages filled with 1, 2, 3 and 4. */
function missingPages(
  create: (byteLength: number) => Mapping,
  mode: number = RegisterMode.MISSING,
) {
  const uffd = openUffd(Features.MISSING_SHMEM);
  const memory = create(4 * pageBytes);
  registerRange(uffd, memory.address, 4 * pageBytes, mode);
  const source = buffer(4 * pageBytes);
  for (const page of [0, 1, 2, 3]) {
    source.bytes.fill(page + 1, page * pageBytes, (page + 1) * pageBytes);
  }
  return { uffd, source, page: (index: number) => memory.address + index * pageBytes, memory };
}

for (const [kind, create] of Object.entries(kinds)) {
  test(`pages copied into ${kind} are there in full`, () => {
    const { uffd, source, page, memory } = missingPages(create);
    expect(tryCopyPages(uffd, page(0), source.address, 4 * pageBytes, 0)).toBe(4 * pageBytes);
    expect(memory.bytes).toEqual(source.bytes);
  });

  test(`a page that exists in ${kind} is not overwritten`, () => {
    const { uffd, source, page, memory } = missingPages(create);
    expect(tryZeroPages(uffd, page(0), pageBytes, 0)).toBe(pageBytes);
    expect(tryZeroPages(uffd, page(0), pageBytes, 0)).toBe(-EEXIST);
    expect(tryCopyPages(uffd, page(0), source.address, pageBytes, 0)).toBe(-EEXIST);
    expect(memory.bytes[0]).toBe(0);
  });

  test(`a copy into ${kind} that meets a page says how far it came`, () => {
    const { uffd, source, page, memory } = missingPages(create);
    tryZeroPages(uffd, page(2), pageBytes, 0);
    expect(tryCopyPages(uffd, page(0), source.address, 4 * pageBytes, 0)).toBe(2 * pageBytes);
    expect(tryCopyPages(uffd, page(2), source.address, 2 * pageBytes, 0)).toBe(-EEXIST);
    expect(tryCopyPages(uffd, page(3), source.address + 3 * pageBytes, pageBytes, 0)).toBe(
      pageBytes,
    );
    const first = [0, 1, 2, 3].map((index) => memory.bytes[index * pageBytes]);
    expect(first).toEqual([1, 2, 0, 4]);
  });

  test(`zeroing ${kind} that has a page says how far it came`, () => {
    const { uffd, source, page } = missingPages(create);
    tryCopyPages(uffd, page(1), source.address, pageBytes, 0);
    expect(tryZeroPages(uffd, page(0), 4 * pageBytes, 0)).toBe(pageBytes);
    expect(tryZeroPages(uffd, page(2), 2 * pageBytes, 0)).toBe(2 * pageBytes);
  });
}

test('a page given back is missing again', () => {
  const { uffd, source, page, memory } = missingPages(anonymous);
  tryCopyPages(uffd, page(0), source.address, pageBytes, 0);
  advise(page(0), pageBytes, Advice.DONTNEED);
  tryCopyPages(uffd, page(0), source.address + pageBytes, pageBytes, 0);
  expect(memory.bytes[0]).toBe(2);
});

test('what cannot be copied has a number for every reason', () => {
  const { uffd, source, page } = missingPages(anonymous);
  const elsewhere = anonymous(pageBytes);
  const unmapped = mapAnonymous(pageBytes);
  unmap(unmapped, pageBytes);
  expect(tryCopyPages(uffd, elsewhere.address, source.address, pageBytes, 0)).toBe(-ENOENT);
  expect(tryCopyPages(uffd, page(0), unmapped, pageBytes, 0)).toBe(-EFAULT);
  expect(tryCopyPages(uffd, page(0), source.address, pageBytes / 2, 0)).toBe(-EINVAL);
  expect(tryCopyPages(uffd, page(0), source.address, pageBytes, 1 << 30)).toBe(-EINVAL);
});

test('the throwing copy gives the count, or the reason as an error', () => {
  const { uffd, source, page } = missingPages(anonymous, RegisterMode.MISSING | RegisterMode.WP);
  const options = { dontWake: true, writeProtect: true };
  expect(copyPages(uffd, page(1), source.address, pageBytes, options)).toBe(pageBytes);
  expect(copyPages(uffd, page(0), source.address, 2 * pageBytes)).toBe(pageBytes);
  expect(() => copyPages(uffd, page(0), source.address, pageBytes)).toThrow(
    expect.objectContaining({ code: 'EEXIST', syscall: 'ioctl UFFDIO_COPY' }),
  );
});

test('a page cannot arrive write-protected where writes are not reported', () => {
  const { uffd, source, page } = missingPages(anonymous);
  expect(tryCopyPages(uffd, page(0), source.address, pageBytes, CopyMode.WP)).toBe(-EINVAL);
  expect(() => writeProtectRange(uffd, page(0), pageBytes, true)).toThrow(
    expect.objectContaining({ code: 'ENOENT', syscall: 'ioctl UFFDIO_WRITEPROTECT' }),
  );
});

test('waking a range nobody waits in is no error; half a page is', () => {
  const { uffd, page } = missingPages(anonymous);
  wakeRange(uffd, page(0), 4 * pageBytes);
  expect(() => wakeRange(uffd, page(0), pageBytes / 2)).toThrow(
    expect.objectContaining({ code: 'EINVAL', syscall: 'ioctl UFFDIO_WAKE' }),
  );
});

test('a page the file has is mapped in answer to a minor fault, and no other', () => {
  const uffd = openUffd(Features.MINOR_SHMEM);
  const fd = memfd(2 * pageBytes);
  shared(fd, 2 * pageBytes).bytes[0] = 77; // the file now has its first page alone
  const { address, bytes } = shared(fd, 2 * pageBytes);
  registerRange(uffd, address, 2 * pageBytes, RegisterMode.MINOR);
  expect(tryContinuePages(uffd, address, pageBytes, 0)).toBe(pageBytes);
  expect(bytes[0]).toBe(77);
  expect(tryContinuePages(uffd, address, pageBytes, 0)).toBe(-EEXIST);
  expect(tryContinuePages(uffd, address + pageBytes, pageBytes, 0)).toBe(-EFAULT);
});
