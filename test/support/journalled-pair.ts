import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GuestProcess } from './guest-process.ts';
import { type Pair, type PairOptions, withPair } from './pair.ts';
import { CALM_RATE, crawling } from './parameters.ts';

/** Where RAM and journal of the destinations of a test are; gone with it. */
export interface Kept {
  readonly journal: string;
  /** What the journal says: `paused`, `open`, or `none`. */
  state(): Promise<string>;
}

/** As `withPair`, in postcopy that crawls, with a journal at the destinations, which share RAM files. */
export async function withJournal(
  options: PairOptions,
  body: (pair: Pair, kept: Kept) => Promise<void>,
): Promise<void> {
  // RAM that can have missing pages and outlives a process is in a tmpfs; the journal need not be.
  const ram = await mkdtemp('/dev/shm/godwit-');
  const directory = await mkdtemp(join(tmpdir(), 'godwit-'));
  const journal = join(directory, 'journal');
  const destination = {
    backing: `file:${join(ram, 'ram')}`,
    memoryMode: 'userfault',
    extraArgs: ['--journal', journal],
    ...options.destination,
  } as const;
  const crawls = { postcopy: true, rate: CALM_RATE, parameters: crawling } as const;
  try {
    await withPair({ ...crawls, ...options, destination }, async (pair) => {
      await body(pair, { journal, state: async () => await stateOf(journal) });
    });
  } finally {
    await rm(ram, { recursive: true, force: true });
    await rm(directory, { recursive: true, force: true });
  }
}

/** Nothing is kept by who dies but what is in the files. @returns who has taken the guest up. */
export async function killAndTakeUp(pair: Pair, name: string): Promise<GuestProcess> {
  await pair.kill(pair.destination);
  const next = await pair.startDestination(name);
  await next.waitForStatus('postcopy-paused');
  return next;
}

async function stateOf(path: string): Promise<string> {
  try {
    return (JSON.parse(await readFile(path, 'utf8')) as { state: string }).state;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'none';
    throw error;
  }
}
