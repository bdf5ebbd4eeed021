import type { HostCapabilities } from '@godwit/posix';
import { expect, test } from 'vitest';

import { doctorLines, isFit } from '../src/doctor-lines.ts';

const yes = { available: true } as const;

const host: HostCapabilities = {
  platform: 'linux',
  kernelRelease: '6.18.0',
  arch: 'x64',
  pageBytes: 4096,
  userfaultfd: { available: true, how: 'syscall', features: ['WP_ASYNC'], remedy: [] },
  pagemapScan: yes,
  wpAsync: yes,
  memfd: yes,
  kvm: yes,
  mappingNames: yes,
  zeroPage: yes,
  memory: { totalBytes: 2 ** 34, availableBytes: 2 ** 33 },
  sockets: { sendBytesMax: 212_992 },
};

test('a host that has everything is fit, and nothing is said to be missing', () => {
  const text = doctorLines(host).join('\n');
  expect(isFit(host)).toBe(true);
  expect(text).toContain('ok       userfaultfd     by the system call');
  expect(text).toContain('This host can migrate guests.');
  expect(text).not.toMatch(/MISSING|absent/);
});

test('what is missing comes with its reason and with every command that would help', () => {
  const locked: HostCapabilities = {
    ...host,
    userfaultfd: {
      available: false,
      reason: 'userfaultfd: EPERM',
      features: [],
      remedy: ['chmod g+rw /dev/userfaultfd', 'sysctl -w vm.unprivileged_userfaultfd=1'],
    },
  };
  const text = doctorLines(locked).join('\n');
  expect(isFit(locked)).toBe(true); // with portable memory
  expect(text).toContain('MISSING  userfaultfd     userfaultfd: EPERM');
  expect(text).toContain('→ as root: chmod g+rw /dev/userfaultfd');
  expect(text).toContain('or as root: sysctl -w vm.unprivileged_userfaultfd=1');
  expect(text).toContain('This host can migrate guests with portable memory only');
});

test.each(['pagemapScan', 'wpAsync'] as const)('without %s memory is portable', (name) => {
  const without = { ...host, [name]: { available: false, reason: 'ENOTTY' } };
  expect(isFit(without)).toBe(true);
  expect(doctorLines(without).join('\n')).toMatch(/^MISSING .*ENOTTY$/m);
  expect(doctorLines(without).join('\n')).toContain('with portable memory only');
});

test('libc is spoken to on Linux alone', () => {
  const elsewhere = { ...host, platform: 'darwin' };
  expect(isFit(elsewhere)).toBe(false);
  expect(doctorLines(elsewhere).join('\n')).toContain('cannot migrate guests: it is not Linux');
});

test.each(['memfd', 'kvm', 'mappingNames', 'zeroPage'] as const)(
  'without %s a host is still fit',
  (name) => {
    const without = { ...host, [name]: { available: false, reason: 'ENOENT' } };
    expect(isFit(without)).toBe(true);
    expect(doctorLines(without).join('\n')).toMatch(/^absent .*ENOENT$/m);
  },
);

test('user-mode-only faults are enough, and what would widen them is named', () => {
  const how = 'user-mode-only';
  const userfaultfd = { available: true, how, features: [], remedy: ['setcap X node'] } as const;
  const narrow: HostCapabilities = { ...host, userfaultfd };
  expect(isFit(narrow)).toBe(true);
  expect(doctorLines(narrow).join('\n')).toContain('wider as root: setcap X node');
});
