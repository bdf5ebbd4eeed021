import type { MemoryMode } from '@godwit/core';
import type { MemoryCapabilities } from '@godwit/posix';

import { userfaultRemedies } from './doctor-findings.ts';
import { UsageError } from './errors.ts';

/** What portable mode takes, in words; docs/decisions/0015-portable-memory.md has the reasons. */
export const PORTABLE_COST =
  'each access of the guest looks for its page and each store marks it, tens of nanoseconds apiece, ' +
  'and only guests that use our accessor can be migrated';

/** How a guest's memory is watched. */
export interface MemoryModeChoice {
  readonly mode: MemoryMode;
  /** A line for the user, where the choice was not theirs and not the usual one. */
  readonly notice?: string;
}

/**
 * @param asked what the user wants; left out, the kernel's way where this process may go it.
 * @throws {UsageError} the kernel's way was asked for, and is refused here: with what would help.
 */
export function chooseMemoryMode(
  asked: MemoryMode | undefined,
  host: MemoryCapabilities,
): MemoryModeChoice {
  if (asked === 'portable') return { mode: 'portable' };
  const reason = whyNotUserfault(host);
  if (reason === undefined) return { mode: 'userfault' };
  if (asked === 'userfault') {
    const remedies = [
      ...userfaultRemedies(host),
      'leave --memory-mode out: portable memory works here',
    ];
    const lines = remedies.map((remedy, index) => `  ${index === 0 ? '→ ' : 'or'} ${remedy}`);
    throw new UsageError(
      `--memory-mode userfault cannot be had here: ${reason}\n${lines.join('\n')}`,
    );
  }
  const notice = `memory mode portable, since ${reason}; ${PORTABLE_COST} (godwit doctor: what would help)`;
  return { mode: 'portable', notice };
}

/** @returns the first thing that the kernel's way lacks. */
function whyNotUserfault(host: MemoryCapabilities): string | undefined {
  const needs = [
    ['userfaultfd', host.userfaultfd],
    ['PAGEMAP_SCAN', host.pagemapScan],
    ['dirty tracking', host.wpAsync],
  ] as const;
  for (const [name, capability] of needs) {
    if (!capability.available) return `${name} is not available (${capability.reason})`;
  }
  return undefined;
}
