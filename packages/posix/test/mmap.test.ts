import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import {
  Advice,
  NativeBuffer,
  advise,
  mapAnonymous,
  mapShared,
  nameMapping,
  pageBytes,
  unmap,
  viewMemory,
} from '../src/mmap.ts';
import { anonymous, memfd, shared } from './resources.ts';

/** Whether /proc/self/maps has a mapping that starts at, or runs across, the address. */
function isMapped(address: number): boolean {
  return readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .some((line) => {
      const [start = '', end = ''] = line.split(' ', 1)[0]?.split('-') ?? [];
      return parseInt(start, 16) <= address && address < parseInt(end, 16);
    });
}

test('the page size is the one the kernel reports', () => {
  const rollup = /^KernelPageSize: +(\d+) kB/m.exec(readFileSync('/proc/self/smaps', 'utf8'));
  expect(pageBytes).toBe(Number(rollup?.[1]) * 1024);
});

test('anonymous memory reads as zero, keeps what is written, and is gone once unmapped', () => {
  const address = mapAnonymous(3 * pageBytes);
  const bytes = new Uint8Array(viewMemory(address, 3 * pageBytes));
  expect(bytes.every((byte) => byte === 0)).toBe(true);
  bytes[pageBytes] = 7;
  expect(new Uint8Array(viewMemory(address + pageBytes, 1))[0]).toBe(7);
  expect(isMapped(address)).toBe(true);
  unmap(address, 3 * pageBytes);
  expect(isMapped(address)).toBe(false);
});

test('two mappings of a file in memory show each other their writes, at their offsets', () => {
  const fd = memfd(2 * pageBytes);
  const whole = shared(fd, 2 * pageBytes);
  const second = shared(fd, pageBytes, pageBytes);
  whole.bytes[pageBytes + 5] = 42;
  expect(second.bytes[5]).toBe(42);
});

test('DONTNEED gives anonymous memory back as zeros; REMOVE punches the file itself', () => {
  const memory = anonymous(2 * pageBytes);
  memory.bytes.fill(1);
  advise(memory.address, pageBytes, Advice.DONTNEED);
  expect([memory.bytes[0], memory.bytes[pageBytes]]).toEqual([0, 1]);

  const fd = memfd(2 * pageBytes);
  const [mine, other] = [shared(fd, 2 * pageBytes), shared(fd, 2 * pageBytes)];
  mine.bytes.fill(1);
  advise(mine.address, pageBytes, Advice.REMOVE);
  expect([other.bytes[0], other.bytes[pageBytes]]).toEqual([0, 1]);
});

test('what the kernel refuses is an error with its reason', () => {
  expect(() => mapAnonymous(0)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
  expect(() => mapShared(-1, pageBytes)).toThrow(expect.objectContaining({ code: 'EBADF' }));
  expect(() => advise(1, pageBytes, Advice.DONTNEED)).toThrow(
    expect.objectContaining({ code: 'EINVAL', syscall: 'madvise' }),
  );
  const address = mapAnonymous(pageBytes);
  unmap(address, pageBytes);
  expect(() => advise(address, pageBytes, Advice.DONTNEED)).toThrow(
    expect.objectContaining({ code: 'ENOMEM' }),
  );
});

test('a view larger than 1 GiB is refused, of any memory', () => {
  expect(() => viewMemory(pageBytes, 2 ** 30 + 1)).toThrow(RangeError);
  expect(() => viewMemory(pageBytes, -1)).toThrow(RangeError);
});

test('a mapping is named where the kernel can, and the answer says so', () => {
  const memory = anonymous(pageBytes);
  const named = nameMapping(memory.address, pageBytes, 'posix test');
  expect(readFileSync('/proc/self/maps', 'utf8').includes('[anon:posix test]')).toBe(named);
  expect(nameMapping(memory.address, pageBytes, 'no ] brackets')).toBe(false);
});

test('a disposed buffer gives its pages back, and its view still finds memory', () => {
  const memory = new NativeBuffer(4 * pageBytes);
  memory.bytes.fill(9);
  memory[Symbol.dispose]();
  memory[Symbol.dispose](); // once more does nothing
  expect(memory.bytes.every((byte) => byte === 0)).toBe(true);
});

test('the addresses of a disposed buffer are given back once its view is collected', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const address = disposedBuffer();
  for (let attempt = 0; attempt < 50 && isMapped(address); attempt += 1) {
    collect();
    await new Promise((resolve) => setImmediate(resolve)); // finalizers run between tasks
  }
  expect(isMapped(address)).toBe(false);
});

function disposedBuffer(): number {
  // Large, so that no other mapping is placed there meanwhile and taken for it.
  using memory = new NativeBuffer(512 * 1024 * 1024);
  return memory.address;
}
