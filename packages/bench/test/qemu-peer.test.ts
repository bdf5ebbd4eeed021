import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, expect, test, vi } from 'vitest';

import { benchMigrate } from '../src/migrate/bench-migrate.ts';
import { defaultGuest } from '../src/migrate/options.ts';
import { resultLines } from '../src/migrate/result-lines.ts';
import { openPeer } from '../src/peer/open-peer.ts';
import { someOptions } from './some-runs.ts';

const small = {
  ...someOptions,
  memoryBytes: 32 * 2 ** 20,
  runs: 1,
  peer: { type: 'qemu' },
} as const;

function isInstalled(): boolean {
  try {
    execFileSync('qemu-system-x86_64', ['--version']);
    return true;
  } catch {
    return false;
  }
}

/** Below the limit of a test: then the error says what it waited for. */
function soon(): AbortSignal {
  return AbortSignal.timeout(50_000);
}

afterEach(() => {
  vi.unstubAllEnvs();
});

test('without QEMU ours is measured all the same, and a line says what is missing', async () => {
  vi.stubEnv('PATH', '/nonexistent');
  const result = await benchMigrate(small, { signal: soon() });
  expect(resultLines(result)[3]).toMatch(/^QEMU is not installed, .* apt-get install/);
  expect(result.figures.map(({ key }) => key)).toContain('ratio');
  expect(result.figures.some(({ key }) => key.startsWith('qemu'))).toBe(false);
});

test('a QEMU that ends is quoted', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'godwit-bench-test-'));
  const command = join(directory, 'qemu');
  await writeFile(
    command,
    '#!/bin/sh\ncase $1 in --version) echo QEMU emulator version 1;; *) echo no RAM >&2; exit 3; esac\n',
    { mode: 0o755 },
  );
  const options = { ...small, peer: { type: 'qemu', command } } as const;
  const exitsBefore = process.listenerCount('exit');
  const opened = openPeer({ options, directory, limitMillis: 5_000, signal: soon() });
  await expect(opened).rejects.toThrow(
    'the QEMU of the source has ended with exit code 3; it said:\nno RAM',
  );
  expect(process.listenerCount('exit')).toBe(exitsBefore);
  await rm(directory, { recursive: true });
});

test.skipIf(!isInstalled()).each([
  ['precopy', 'unix', ['qemu']],
  ['postcopy', 'tcp', ['qemu', 'qemu-preempt']],
  ['recovery', 'tcp', ['qemu-preempt']],
] as const)('%s of QEMU over %s is measured', async (mode, transport, keys) => {
  const exitsBefore = process.listenerCount('exit');
  const options = { ...small, mode, transport, ...defaultGuest(mode) };
  const { runs, figures } = await benchMigrate(options, { signal: soon() });
  const peers = runs[0]?.peers ?? [];
  expect(peers.map(({ variant }) => variant.key)).toEqual(keys);
  for (const { bytesPerSecond, downtimeMillis, passes, stalls, recovery } of peers) {
    expect(bytesPerSecond).toBeGreaterThan(0);
    expect(downtimeMillis).toBeGreaterThan(0);
    expect(passes).toBeGreaterThan(0);
    expect(stalls === undefined).toBe(mode === 'precopy');
    expect(recovery === undefined).toBe(mode !== 'recovery');
    // A guest that touches pages while they come misses some, and each takes its time.
    if (stalls !== undefined) expect(stalls.p50).toBeGreaterThan(1);
  }
  expect(figures.every(({ median }) => Number.isFinite(median) && median >= 0)).toBe(true);
  expect(process.listenerCount('exit')).toBe(exitsBefore); // each process of ours holds one
});

test.skipIf(!isInstalled())('multifd of QEMU is measured', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'godwit-bench-test-'));
  const options = { ...small, channels: 4 };
  await using peer = await openPeer({ options, directory, limitMillis: 20_000, signal: soon() });
  const [run] = (await peer?.measure(true)) ?? [];
  expect(run?.variant.multifdChannels).toBe(4);
  expect(run?.bytesPerSecond).toBeGreaterThan(0);
  await rm(directory, { recursive: true });
});
