import type { HostCapabilities } from '@godwit/posix';
import { expect, test } from 'vitest';

import { type Examined, findingsOf } from '../src/doctor-findings.ts';
import { doctorLines, isFit } from '../src/doctor-lines.ts';
import { painterFor } from '../src/painter.ts';

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
  sockets: { sendBytesMax: 4_194_304 },
};

function examined(on: HostCapabilities, more: Partial<Examined> = {}): Examined {
  return { host: on, limits: {}, nodeVersion: '20.19.0', ...more };
}

function textOf(on: HostCapabilities): string {
  return doctorLines(examined(on), painterFor(false)).join('\n');
}

test('a host that has everything is fit, and nothing is said to be missing', () => {
  const text = textOf(host);
  expect(isFit(examined(host))).toBe(true);
  expect(text).toContain('ok       userfaultfd     by the system call');
  expect(text).toContain('This host can migrate guests.');
  expect(text).not.toMatch(/MISSING|absent|small|→/);
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
  const text = textOf(locked);
  expect(isFit(examined(locked))).toBe(true); // with portable memory
  expect(text).toContain('MISSING  userfaultfd     userfaultfd: EPERM');
  expect(text).toContain('→ as root: chmod g+rw /dev/userfaultfd');
  expect(text).toContain('or as root: sysctl -w vm.unprivileged_userfaultfd=1');
  expect(text).toContain('This host can migrate guests with portable memory only');
});

test.each(['pagemapScan', 'wpAsync'] as const)('without %s memory is portable', (name) => {
  const without = { ...host, [name]: { available: false, reason: 'ENOTTY' } };
  expect(isFit(examined(without))).toBe(true);
  expect(textOf(without)).toMatch(/^MISSING .*ENOTTY$/m);
  expect(textOf(without)).toContain('with portable memory only');
});

test('libc is spoken to on Linux alone', () => {
  const elsewhere = { ...host, platform: 'darwin' };
  expect(isFit(examined(elsewhere))).toBe(false);
  expect(textOf(elsewhere)).toContain('cannot migrate guests: it is not Linux');
});

test.each(['memfd', 'kvm', 'mappingNames', 'zeroPage'] as const)(
  'without %s a host is still fit',
  (name) => {
    const without = { ...host, [name]: { available: false, reason: 'ENOENT' } };
    expect(isFit(examined(without))).toBe(true);
    expect(textOf(without)).toMatch(/^absent .*ENOENT$/m);
  },
);

test('user-mode-only faults are enough, and what would widen them is named', () => {
  const how = 'user-mode-only';
  const userfaultfd = { available: true, how, features: [], remedy: ['setcap X node'] } as const;
  const narrow: HostCapabilities = { ...host, userfaultfd };
  expect(isFit(examined(narrow))).toBe(true);
  expect(textOf(narrow)).toContain('wider as root: setcap X node');
});

test.each([
  ['an old Node.js', { nodeVersion: '20.18.3' }, 'Node.js', 'install Node.js 20.19'],
  [
    'a full control group',
    { limits: { groupBytesMax: 2 ** 30, groupBytesUsed: 2 ** 30 - 2 ** 20 } },
    'memory cgroup',
    'docker run --memory',
  ],
  [
    'little memory',
    { host: { ...host, memory: { totalBytes: 2 ** 30, availableBytes: 2 ** 20 } } },
    'memory',
    'ps -eo rss',
  ],
  [
    'few locked pages',
    { host: { ...host, memory: { ...host.memory, lockedBytesMax: 2 ** 23 } } },
    'locked memory',
    'ulimit -l unlimited',
  ],
  [
    'a small send buffer',
    { host: { ...host, sockets: { sendBytesMax: 212_992 } } },
    'send buffer',
    'sysctl -w net.core.wmem_max=',
  ],
  [
    'a small tcp window',
    { host: { ...host, sockets: { tcpReceiveBytesMax: 65_536 } } },
    'tcp receive',
    'sysctl -w net.ipv4.tcp_rmem=',
  ],
  [
    'little memory for tcp',
    { limits: { tcpPagesPressure: 16 } },
    'tcp memory',
    'net.ipv4.tcp_mem=',
  ],
] satisfies readonly (readonly [string, Partial<Examined>, string, string])[])(
  '%s is found, with the command that helps, and only what is needed makes a host unfit',
  (_case, more, name, remedy) => {
    const all = examined(host, more);
    const bad = findingsOf(all).filter(({ ok }) => !ok);
    expect(bad.map((finding) => finding.name)).toEqual(
      name === 'memory cgroup' ? ['memory', 'memory cgroup'] : [name],
    );
    expect(bad.at(-1)?.remedies.join()).toContain(remedy);
    expect(isFit(all)).toBe(name !== 'Node.js');
  },
);
