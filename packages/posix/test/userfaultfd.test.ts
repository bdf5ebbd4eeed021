import { closeSync, openSync } from 'node:fs';
import { beforeEach, expect, test } from 'vitest';
import { SystemError } from '../src/errors.ts';
import { pageBytes } from '../src/mmap.ts';
import { tryZeroPages } from '../src/userfaultfd-pages.ts';
import {
  Features,
  RegisterMode,
  openByDevice,
  openUserfaultfd,
  probeUserfaultfd,
  registerRange,
  unregisterRange,
} from '../src/userfaultfd.ts';
import { anonymous, memfd, openUffd, owned, userfaultfd } from './resources.ts';

beforeEach((context) => {
  if (userfaultfd === undefined) context.skip('this process may not have a userfaultfd');
});

const EBADF = 9;
const ENOENT = 2;

function hasDevice(): boolean {
  try {
    closeSync(openSync('/dev/userfaultfd', 'r+'));
    return true;
  } catch {
    return false;
  }
}

test('a feature that no kernel has is refused, and nothing stays open', () => {
  const before = openUffd(0);
  expect(() => openUffd(2 ** 40)).toThrow(
    expect.objectContaining({ code: 'EINVAL', syscall: 'ioctl UFFDIO_API' }),
  );
  expect(openUffd(0n)).toBe(before + 1);
});

test('a page is only filled while its range is registered', () => {
  const uffd = openUffd(0);
  const { address } = anonymous(2 * pageBytes);
  expect(tryZeroPages(uffd, address, pageBytes, 0)).toBe(-ENOENT);
  registerRange(uffd, address, 2 * pageBytes, RegisterMode.MISSING);
  expect(tryZeroPages(uffd, address, pageBytes, 0)).toBe(pageBytes);
  unregisterRange(uffd, address, 2 * pageBytes);
  expect(tryZeroPages(uffd, address + pageBytes, pageBytes, 0)).toBe(-ENOENT);
});

test('a range is registered with one userfaultfd at a time', () => {
  const [first, second] = [0, 0].map((features) => openUffd(features));
  const { address } = anonymous(pageBytes);
  registerRange(first ?? -1, address, pageBytes, RegisterMode.MISSING);
  expect(() => registerRange(second ?? -1, address, pageBytes, RegisterMode.MISSING)).toThrow(
    expect.objectContaining({ code: 'EBUSY', syscall: 'ioctl UFFDIO_REGISTER' }),
  );
});

test('half a page is refused', () => {
  const uffd = openUffd(0);
  const { address } = anonymous(pageBytes);
  const half = pageBytes / 2;
  expect(() => registerRange(uffd, address, half, RegisterMode.MISSING)).toThrow(
    expect.objectContaining({ code: 'EINVAL' }),
  );
  expect(() => unregisterRange(uffd, address + half, half)).toThrow(
    expect.objectContaining({ code: 'EINVAL', syscall: 'ioctl UFFDIO_UNREGISTER' }),
  );
});

test('a descriptor that is no userfaultfd is told apart', () => {
  expect(tryZeroPages(-1, 0, pageBytes, 0)).toBe(-EBADF);
  expect(() => registerRange(memfd(0), 0, pageBytes, 0)).toThrow(SystemError);
});

test('the way that is reported is one that opens', () => {
  const { how, features } = probeUserfaultfd();
  owned(openUserfaultfd({ userModeOnly: how === 'user-mode-only', features: 0 }));
  expect(features & Features.MISSING_SHMEM).not.toBe(0);
});

test.runIf(hasDevice())('the device gives a userfaultfd that is ready for its features', () => {
  const uffd = owned(openByDevice(0o2004000)); // O_CLOEXEC | O_NONBLOCK
  const { address } = anonymous(pageBytes);
  // Before UFFDIO_API, which openUserfaultfd asks either kind for, nothing else is possible.
  expect(() => registerRange(uffd, address, pageBytes, RegisterMode.MISSING)).toThrow(
    expect.objectContaining({ code: 'EINVAL' }),
  );
});
