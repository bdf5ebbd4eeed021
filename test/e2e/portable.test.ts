import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, constants, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { MemoryMode } from '../support/guest-options.ts';
import { expectOwner, withPair } from '../support/pair.ts';
import { CALM_RATE, crawling, endless, fast } from '../support/parameters.ts';
import { TestDirectory } from '../support/test-directory.ts';
import { within } from '../support/wait.ts';

const pathOf = (file: string): string => fileURLToPath(new URL(`../../${file}`, import.meta.url));
const GODWIT = pathOf('packages/cli/bin/godwit.js');
/** A seccomp filter: userfaultfd, its device and PAGEMAP_SCAN fail as in a locked-down container. */
const REFUSING = pathOf('packages/posix/dist/testing/refuse-userfaultfd.js');
const NOBODY = 65_534;
const DEMO_LIMIT_MILLIS = 50_000;

interface Said {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface How {
  /** Without any privilege, as this user and group. */
  readonly id?: number;
  readonly refusing?: boolean;
  readonly directory: TestDirectory;
}

/** Runs `godwit` to its end. */
async function godwit(args: readonly string[], how: How): Promise<Said> {
  const { id, refusing = false, directory } = how;
  const command = [...(refusing ? [REFUSING, process.execPath] : []), GODWIT, ...args];
  const env = { ...process.env, TMPDIR: directory.path, HOME: directory.path };
  const user = id === undefined ? {} : { uid: id, gid: id };
  const child = spawn(process.execPath, command, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
    ...user,
  });
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => (said[name] += text));
  }
  const kill = (): boolean => child.kill('SIGKILL');
  process.once('exit', kill);
  try {
    const ended = once(child, 'close');
    const told = (): string => `: ${said.stdout}${said.stderr}`;
    const [code] = await within(ended, `the end of godwit ${args[0]}`, DEMO_LIMIT_MILLIS, told);
    return { code: code as number | null, ...said };
  } finally {
    process.removeListener('exit', kill);
    kill();
  }
}

/** A demo with a cut and a recovery, and its proof. */
async function expectDemo(how: How, ...args: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await godwit(['demo', '--memory', '16M', ...args], how);
  assert.equal(code, 0, `${stdout}${stderr}`);
  expect(stdout).toMatch(/owner +one: source postmigrate, destination running/);
  expect(stdout).toMatch(/recoveries +1;/);
  expect(stdout).toMatch(/proof +verified 5120 of 5120 pages: every byte is right/);
}

/** Whether somebody else may run the programs: a checkout in a private directory is its owner's alone. */
function isOpenToAll(path: string): boolean {
  for (let at = dirname(path); at !== dirname(at); at = dirname(at)) {
    if ((statSync(at).mode & constants.S_IXOTH) === 0) return false;
  }
  return (statSync(path).mode & constants.S_IROTH) !== 0;
}

describe('an unprivileged user', () => {
  const isRoot = process.getuid?.() === 0; // who is not has no privilege to give up

  test.for([
    ['with portable memory', ['--memory-mode', 'portable']],
    ['with what the kernel grants', []],
  ] as const)('runs the demo %s', async ([, args], context) => {
    if (isRoot && !isOpenToAll(GODWIT)) context.skip(`other users may not read ${GODWIT}`);
    await using directory = await TestDirectory.make();
    if (isRoot) chownSync(directory.path, NOBODY, NOBODY);
    await expectDemo({ directory, ...(isRoot ? { id: NOBODY } : {}) }, ...args);
  });
});

describe('where the kernel refuses userfaultfd and PAGEMAP_SCAN', () => {
  test('the demo chooses portable memory by itself', async () => {
    await using directory = await TestDirectory.make();
    await expectDemo({ directory, refusing: true });
  });

  test('an unprivileged user runs it as well', async (context) => {
    const isRoot = process.getuid?.() === 0;
    if (isRoot && !isOpenToAll(GODWIT)) context.skip(`other users may not read ${GODWIT}`);
    await using directory = await TestDirectory.make();
    if (isRoot) chownSync(directory.path, NOBODY, NOBODY);
    await expectDemo({ directory, refusing: true, ...(isRoot ? { id: NOBODY } : {}) });
  });

  test('a guest says in one line that it is portable, why, and what it costs', async () => {
    await using directory = await TestDirectory.make();
    const missing = directory.file('nowhere/qmp'); // so that it ends by itself, once it has begun
    const args = ['guest', '--name', 'A', '--memory', '16M', '--qmp', `unix:${missing}`];
    const { code, stderr } = await godwit(args, { directory, refusing: true });
    expect(code).toBe(1);
    const [notice, reason] = stderr.split('\n');
    expect(notice).toMatch(
      /^godwit guest A: memory mode portable, since userfaultfd is not available \(.*EPERM.*\); each access/,
    );
    expect(reason).toMatch(/^godwit guest A: cannot listen/);
  });

  test('userfault by name is refused, with what would help', async () => {
    await using directory = await TestDirectory.make();
    const qmp = `unix:${directory.file('qmp')}`;
    const args = ['guest', '--name', 'A', '--memory', '16M', '--qmp', qmp];
    const how = { directory, refusing: true };
    const { code, stderr } = await godwit([...args, '--memory-mode', 'userfault'], how);
    expect(code).toBe(2);
    expect(stderr).toContain('--memory-mode userfault cannot be had here: userfaultfd is not');
    expect(stderr).toContain('sysctl -w vm.unprivileged_userfaultfd=1');
    expect(stderr).toContain('leave --memory-mode out');
    expect(await directory.names()).toEqual([]);
  });

  test('doctor says that it is portable memory only', async () => {
    await using directory = await TestDirectory.make();
    const { code, stdout } = await godwit(['doctor'], { directory, refusing: true });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^MISSING +userfaultfd .*EPERM/m);
    expect(stdout).toMatch(/^MISSING +PAGEMAP_SCAN .*ENOTTY/m);
    expect(stdout).toContain('with portable memory only');
  });
});

describe.each([
  ['portable', 'userfault'],
  ['userfault', 'portable'],
  ['portable', 'portable'],
] as const satisfies readonly (readonly MemoryMode[])[])('from %s to %s memory', (from, to) => {
  const modes = { source: { memoryMode: from }, destination: { memoryMode: to } } as const;

  test('a guest that goes on writing arrives whole by precopy, and leaves again', async () => {
    const options = { ...modes, workload: 'zipf', vcpus: 2, fill: 0.6, parameters: fast } as const;
    await withPair(options, async (pair) => {
      await pair.migrate();
      await pair.waitForBoth('completed');
      await pair.turnDestinationIntoSource('third');
      await pair.migrate();
      await pair.waitForBoth('completed');
      await expectOwner(pair, pair.destination);
    });
  });

  test('a guest survives postcopy, a break and a recovery, and leaves again', async () => {
    const options = { ...modes, postcopy: true, rate: CALM_RATE, parameters: crawling } as const;
    await withPair({ ...options, workload: 'random', vcpus: 2 }, async (pair) => {
      await pair.untilPostcopyActive();
      await pair.source.executeOob('migrate-pause');
      await pair.waitForBoth('postcopy-paused');
      await pair.resume();
      await pair.waitForBoth('postcopy-active');
      await pair.untilCompleted();
      await pair.turnDestinationIntoSource('third');
      await pair.source.setParameters({ ...fast, 'max-postcopy-bandwidth': 0 });
      await pair.migrateByPostcopy();
      await pair.waitForBoth('completed');
      await expectOwner(pair, pair.destination);
    });
  });
});

test.each(['memfd', 'file'] as const)(
  'portable memory may be a %s on either side',
  async (backing) => {
    await using files = await TestDirectory.make();
    const of = (side: string): string =>
      backing === 'memfd' ? backing : `file:${files.file(side)}`;
    const side = (name: string) => ({ backing: of(name), memoryMode: 'portable' }) as const;
    const sides = { source: side('source'), destination: side('destination') };
    await withPair(
      { ...sides, postcopy: true, workload: 'random', parameters: endless },
      async (pair) => {
        await pair.migrateByPostcopy();
        await pair.waitForBoth('completed');
        await expectOwner(pair, pair.destination);
      },
    );
  },
);

test('memory that was never touched is neither read nor sent', async () => {
  const options = { memory: '64M', fill: 0.25, workload: 'idle', parameters: fast } as const;
  await withPair({ ...options, memoryMode: 'portable' }, async (pair) => {
    await pair.migrate();
    await pair.waitForBoth('completed');
    const { ram } = await pair.source.execute<{ ram: { normal: number; duplicate: number } }>(
      'query-migrate',
    );
    const pages = (64 + 4) * 256;
    expect(ram.normal).toBeGreaterThan(pages * 0.2);
    expect(ram.normal).toBeLessThan(pages * 0.3);
    await expectOwner(pair, pair.destination);
  });
});
