import { afterEach, expect, test, vi } from 'vitest';

import { findQemu, parseVersion } from '../src/peer/find-qemu.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

test('a machine without QEMU is told how to get it', async () => {
  vi.stubEnv('PATH', '/nonexistent');
  const found = await findQemu(undefined);
  expect(found).toEqual({
    found: false,
    reason:
      'QEMU is not installed, nothing to compare with: apt-get install qemu-system-x86, ' +
      'or name another one with --qemu COMMAND',
  });
});

test('a QEMU that was named must be there', async () => {
  await expect(findQemu('/nonexistent/qemu')).rejects.toThrow(RangeError);
  await expect(findQemu('/nonexistent/qemu')).rejects.toThrow(
    /^--qemu \/nonexistent\/qemu: cannot be started: /,
  );
});

test('the version is what the first line says', () => {
  const printed =
    'QEMU emulator version 10.0.13 (Debian 1:10.0.13+ds-0+deb13u1)\nCopyright (c) 2003-2025\n';
  expect(parseVersion(printed)).toBe('10.0.13 (Debian 1:10.0.13+ds-0+deb13u1)');
});
