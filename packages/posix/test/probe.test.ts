import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { expect, test } from 'vitest';
import { SystemError } from '../src/errors.ts';
import { createMemfd } from '../src/memory-files.ts';
import { pageBytes } from '../src/mmap.ts';
import { probeHost } from '../src/probe.ts';
import { Features, openUserfaultfd } from '../src/userfaultfd.ts';
import { owned } from './resources.ts';

test('the host is told as it is', () => {
  const host = probeHost();
  expect(host).toMatchObject({
    platform: 'linux',
    kernelRelease: release(),
    arch: process.arch,
    pageBytes,
    memfd: { available: true },
  });
  const kilobytes = /^MemTotal: +(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1];
  expect(host.memory.totalBytes).toBe(Number(kilobytes) * 1024);
  expect(host.memory.availableBytes).toBeGreaterThan(0);
  expect(host.memory.availableBytes).toBeLessThanOrEqual(host.memory.totalBytes);
  expect(host.sockets.sendBytesMax).toBeGreaterThan(0);
  expect(host.sockets.tcpReceiveBytesMax).toBeGreaterThan(4096);
});

test('what is said of userfaultfd is what opening one finds', () => {
  const { userfaultfd } = probeHost();
  if (!userfaultfd.available) {
    expect(userfaultfd.reason).toMatch(/^E[A-Z]+: /);
    expect(userfaultfd.remedy).not.toHaveLength(0);
    expect(() => openUserfaultfd({ userModeOnly: true, features: 0 })).toThrow(SystemError);
    return;
  }
  const userModeOnly = userfaultfd.how === 'user-mode-only';
  expect(userfaultfd.remedy.length > 0).toBe(userModeOnly);
  for (const name of Object.keys(Features) as (keyof typeof Features)[]) {
    const open = (): number => openUserfaultfd({ userModeOnly, features: Features[name] });
    // Events of forks are for CAP_SYS_PTRACE alone, whatever the kernel knows.
    if (name === 'EVENT_FORK') continue;
    if (userfaultfd.features.includes(name)) owned(open());
    else expect(open).toThrow(expect.objectContaining({ code: 'EINVAL' }));
  }
});

test('a probe leaves no descriptor behind', () => {
  const before = owned(createMemfd('before'));
  probeHost();
  const after = owned(createMemfd('after'));
  expect(after).toBe(before + 1);
});
