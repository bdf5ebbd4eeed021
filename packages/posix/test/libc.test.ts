import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { check, declare, declareSyscall } from '../src/libc.ts';

test('a function that libc lacks throws when it is called, not before', () => {
  const absent = declare('no_such_function', 'int', ['int']);
  expect(() => absent(1)).toThrow('no_such_function: this libc has no such function');
});

test('a system call without a number for this architecture throws when it is called', () => {
  const absent = declareSyscall('made_up', { pdp11: 1 });
  expect(() => absent(1)).toThrow('made_up: no system call number');
});

test('a failed call carries the errno of this thread', () => {
  const close = declare('close', 'int', ['int']);
  expect(() => check(close(-1), 'close')).toThrow(
    expect.objectContaining({ code: 'EBADF', errno: 9, syscall: 'close' }),
  );
});

test('on another system the package is imported and probed, and calls say what they need', () => {
  const entry = fileURLToPath(new URL('../dist/index.js', import.meta.url));
  const program = `
    Object.defineProperty(process, 'platform', { value: 'darwin' });
    const posix = await import(${JSON.stringify(entry)});
    const refused = [];
    for (const call of [() => posix.mapAnonymous(4096), () => posix.threadId()]) {
      try { call(); } catch (error) { refused.push(error.message); }
    }
    console.log(JSON.stringify({ refused, host: posix.probeHost() }));`;
  const arguments_ = ['--input-type=module', '--eval', program];
  const answer: unknown = JSON.parse(
    execFileSync(process.execPath, arguments_, { encoding: 'utf8' }),
  );
  expect(answer).toMatchObject({
    refused: ['mmap: needs Linux, and this is darwin', 'gettid: needs Linux, and this is darwin'],
    host: {
      platform: 'darwin',
      userfaultfd: { available: false, features: [], remedy: [] },
      pagemapScan: { available: false },
      memfd: { available: false, reason: 'memfd_create: needs Linux, and this is darwin' },
    },
  });
});
