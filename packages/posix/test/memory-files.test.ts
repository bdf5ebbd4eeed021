import { fstatSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createMemfd, setFileBytes } from '../src/memory-files.ts';
import { pageBytes } from '../src/mmap.ts';
import { memfd, owned, shared } from './resources.ts';

test('a file in memory has the size it was set to, and zeros where it grew', () => {
  const fd = memfd(pageBytes);
  expect(fstatSync(fd).size).toBe(pageBytes);
  shared(fd, pageBytes).bytes.fill(1);
  setFileBytes(fd, 10);
  setFileBytes(fd, pageBytes);
  const { bytes } = shared(fd, pageBytes);
  expect([bytes[9], bytes[10]]).toEqual([1, 0]);
});

test('a size above 4 GiB is kept whole', () => {
  const fd = owned(createMemfd('large'));
  setFileBytes(fd, 5 * 2 ** 32 + 1);
  expect(fstatSync(fd).size).toBe(5 * 2 ** 32 + 1);
});

test('a size that cannot be is refused', () => {
  const fd = memfd(0);
  expect(() => setFileBytes(fd, -1)).toThrow(
    expect.objectContaining({ code: 'EINVAL', syscall: 'ftruncate' }),
  );
});
