import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GuestProcess } from './guest-process.ts';
import { expectOwner, type Pair, type PairOptions, withPair } from './pair.ts';
import { CALM_RATE, crawling } from './parameters.ts';
import { within } from './wait.ts';

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

/** The guest runs at the destination and has fetched so many pages by touching them. */
export async function untilFaulted(guest: GuestProcess, faults: number): Promise<void> {
  const looking = async (): Promise<void> => {
    for (;;) {
      const info = await guest.execute<{ 'x-faults': { faults: number } }>('query-migrate');
      if (info['x-faults'].faults >= faults) return;
      await sleep(10); // nothing tells of it
    }
  };
  await within(looking(), `${faults} faults`);
}

/** So many pages have come since now. */
export async function untilReceived(guest: GuestProcess, more: number): Promise<void> {
  const count = async (): Promise<number> => {
    const info = await guest.execute<{ 'x-ram': { 'received-pages': number } }>('query-migrate');
    return info['x-ram']['received-pages'];
  };
  const looking = async (): Promise<void> => {
    const before = await count();
    while ((await count()) < before + more) await sleep(10); // nothing tells of it
  };
  await within(looking(), `${more} pages`);
}

export async function pauseBoth(pair: Pair): Promise<void> {
  await pair.source.executeOob('migrate-pause');
  await pair.waitForBoth('postcopy-paused');
}

/** The link is new, the rest follows, and every byte is what it must be. */
export async function expectWholeGuest(pair: Pair): Promise<void> {
  await pair.resume();
  await pair.waitForBoth('postcopy-active');
  await pair.untilCompleted();
  await expectOwner(pair, pair.destination);
}

async function stateOf(path: string): Promise<string> {
  try {
    return (JSON.parse(await readFile(path, 'utf8')) as { state: string }).state;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'none';
    throw error;
  }
}
