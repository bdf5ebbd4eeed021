import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { SpawnedGuest } from '@godwit/chaos';
import { QmpSocketError } from '@godwit/qmp';

import { formatBytes, plural } from '../figures.ts';
import { GODWIT } from '../godwit-path.ts';
import { exactSize } from '../sizes.ts';
import type { DemoDisplay } from './demo-display.ts';
import { migrate, prepare, prove } from './demo-migration.ts';
import type { DemoResult } from './demo-report.ts';
import { Monitor } from './monitor.ts';
import { type DemoOptions, planDemo } from './plan.ts';
import type { SideName } from './demo-state.ts';

/** Between the end of a connection and the news that the process has ended. */
const OBITUARY_MILLIS = 1000;

/**
 * Starts two processes and shows a migration from one to the other over a wire that is cut as often
 * as asked for, with the proof that the guest has arrived whole and runs once.
 *
 * @throws {Error} what was waited for in vain, what a process said when it died, or the reason of
 *   the signal. Processes and files are gone, whatever happens.
 */
export async function runDemo(
  options: DemoOptions,
  display: DemoDisplay,
  signal: AbortSignal,
): Promise<DemoResult> {
  const startedMillis = performance.now();
  await using directory = await temporaryDirectory();
  const { path } = directory;
  await using guests = await startGuests(options, path, signal);
  const { source, destination } = guests;
  const title = titleOf(options);
  const waits = AbortSignal.any([signal, guests.death]);
  try {
    const watched = { title, source, destination, display, startedMillis, signal: waits };
    await using monitor = new Monitor(watched);
    const stage = { options, directory: path, monitor, signal: waits };
    const target = await prepare(stage);
    const recoveryMillis = await migrate(stage, target);
    return await prove(stage, recoveryMillis);
  } catch (error) {
    // A process that dies is noticed first by the end of its connection.
    if (error instanceof QmpSocketError) {
      await Promise.race([source.ended, destination.ended, sleep(OBITUARY_MILLIS)]);
    }
    waits.throwIfAborted();
    throw error;
  }
}

interface Guests extends AsyncDisposable {
  readonly source: SpawnedGuest<SideName>;
  readonly destination: SpawnedGuest<SideName>;
  /** Aborts when one of them ends, with what there is to be said about that. */
  readonly death: AbortSignal;
}

/** Both at the same time. @throws {Error} one did not start; the other is gone, too. */
async function startGuests(
  options: DemoOptions,
  directory: string,
  signal: AbortSignal,
): Promise<Guests> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const starting = (['source', 'destination'] as const).map(async (name) => {
    try {
      const args = guestArguments(name, options);
      const qmp = `unix:${join(directory, `${name}.qmp`)}`;
      return await SpawnedGuest.start({ name, godwit: GODWIT, qmp, args, signal: either });
    } catch (error) {
      failed.abort(error); // no use in waiting for the other
      throw error;
    }
  });
  const results = await Promise.allSettled(starting);
  const [source, destination] = results.map((result) =>
    result.status === 'fulfilled' ? result.value : undefined,
  );
  const end = async (): Promise<void> => {
    await Promise.all([source?.[Symbol.asyncDispose](), destination?.[Symbol.asyncDispose]()]);
  };
  if (source === undefined || destination === undefined) {
    await end();
    throw either.reason;
  }
  const death = new AbortController();
  for (const guest of [source, destination]) void guest.ended.then((how) => death.abort(how));
  return { source, destination, death: death.signal, [Symbol.asyncDispose]: end };
}

function guestArguments(name: SideName, options: DemoOptions): string[] {
  const { memoryBytes, memoryMode, workload, seed } = options;
  const mode = memoryMode === undefined ? [] : ['--memory-mode', memoryMode];
  const memory = ['--memory', exactSize(memoryBytes), ...mode];
  // The program comes with the guest: the destination needs only the room.
  if (name === 'destination') return [...memory, '--incoming', 'defer'];
  const { guestRate } = planDemo(options);
  const program = ['--workload', workload, '--rate', String(guestRate), '--seed', String(seed)];
  return [...memory, ...program];
}

function titleOf({ memoryBytes, workload, transport, precopy, cuts }: DemoOptions): string {
  const how = precopy ? 'precopy' : `postcopy, ${plural(cuts, 'cut')}`;
  return `godwit demo: ${formatBytes(memoryBytes)}, ${workload}, ${transport}, ${how}`;
}

/** With sockets only its owner may use; gone when the demo ends, even by process.exit. */
async function temporaryDirectory(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'godwit-demo-'));
  const remove = (): void => rmSync(path, { recursive: true, force: true });
  process.once('exit', remove);
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      process.removeListener('exit', remove);
      await rm(path, { recursive: true, force: true });
    },
  };
}
