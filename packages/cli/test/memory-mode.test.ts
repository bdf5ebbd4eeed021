import type { MemoryCapabilities } from '@godwit/posix';
import { expect, test } from 'vitest';

import { UsageError } from '../src/errors.ts';
import { chooseMemoryMode } from '../src/memory-mode.ts';

const yes = { available: true } as const;
const host: MemoryCapabilities = {
  userfaultfd: { available: true, how: 'syscall', features: ['WP_ASYNC'], remedy: [] },
  pagemapScan: yes,
  wpAsync: yes,
};
const no = { available: false, reason: 'ioctl PAGEMAP_SCAN: ENOTTY' } as const;
const remedy = ['chmod g+rw /dev/userfaultfd', 'sysctl -w vm.unprivileged_userfaultfd=1'];
const refused = { available: false, reason: 'userfaultfd: EPERM', features: [], remedy } as const;

test('what the kernel can do is left to it, without a word', () => {
  expect(chooseMemoryMode(undefined, host)).toEqual({ mode: 'userfault' });
  expect(chooseMemoryMode('userfault', host)).toEqual({ mode: 'userfault' });
});

test('portable by name is taken, whatever the host can do', () => {
  for (const any of [host, { ...host, pagemapScan: no }]) {
    expect(chooseMemoryMode('portable', any)).toEqual({ mode: 'portable' });
  }
});

test.each([
  ['userfaultfd', { ...host, userfaultfd: refused }, 'userfaultfd: EPERM'],
  ['PAGEMAP_SCAN', { ...host, pagemapScan: no }, no.reason],
  ['dirty tracking', { ...host, wpAsync: no }, no.reason],
])(
  'without %s memory is portable, and one line says why and what it costs',
  (name, lacking, why) => {
    const { mode, notice = '' } = chooseMemoryMode(undefined, lacking);
    expect(mode).toBe('portable');
    expect(notice).toContain(`since ${name} is not available (${why})`);
    expect(notice).toContain('tens of nanoseconds apiece');
    expect(notice).not.toContain('\n');
  },
);

test('userfault by name is refused where it cannot be had, with the remedies of doctor', () => {
  const ask = (): unknown => chooseMemoryMode('userfault', { ...host, userfaultfd: refused });
  expect(ask).toThrow(UsageError);
  expect(ask).toThrow(/cannot be had here: userfaultfd is not available \(userfaultfd: EPERM\)/);
  for (const command of remedy) expect(ask).toThrow(`as root: ${command}`);
});
