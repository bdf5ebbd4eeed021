import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { expect, test } from 'vitest';

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
/** A seccomp filter: userfaultfd, its device and PAGEMAP_SCAN fail as in a locked-down container. */
const REFUSING = here('../../posix/dist/testing/refuse-userfaultfd.js');

/** A guest in memory of the kernel's kind, and what its machine says of migrating it. */
const PROGRAM = `
  import { allocateRam } from '@godwit/core';
  import { Machine } from '@godwit/qmp';
  const ram = allocateRam([{ id: 'pc.ram', byteLength: 1024 * 1024 }]);
  const guest = { ram: ram.blocks, running: false, pause: async () => {}, resume: async () => {} };
  const machine = new Machine({ guest, name: 'blocked', vcpus: 1 });
  const info = await machine.migrations.info();
  const address = { type: 'unix', path: '/nowhere/at/all' };
  const begun = async () => await machine.migrations.start(address);
  const refusal = 'blocked-reasons' in info ? await begun().catch((error) => error.message) : null;
  console.log(JSON.stringify({ info, refusal, status: machine.migrations.status }));
`;

interface Said {
  readonly info: { readonly 'blocked-reasons'?: readonly string[] };
  readonly refusal: string | null;
  readonly status: string;
}

function ask(...filter: readonly string[]): Said {
  const words = [...filter, '--input-type=module', '--eval', PROGRAM];
  const options = { encoding: 'utf8', cwd: here('..'), timeout: 20_000 } as const;
  return JSON.parse(execFileSync(process.execPath, words, options)) as Said;
}

test('where the host cannot track writes to RAM, the reason is told and migrate is refused with it', () => {
  const { info, refusal, status } = ask(REFUSING, process.execPath);
  expect(info['blocked-reasons']).toEqual([
    expect.stringMatching(/^writes to guest RAM cannot be tracked: .*EPERM/),
  ]);
  expect(refusal).toBe(info['blocked-reasons']?.[0]);
  expect(status).toBe('none');
});

test('where it can, nothing is blocked', () => {
  expect(ask().info).toEqual({});
});
