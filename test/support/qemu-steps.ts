import assert from 'node:assert/strict';
import { setTimeout as after } from 'node:timers/promises';
import { badPages, GuestMemory } from './guest-memory.ts';
import type { GuestProcess } from './guest-process.ts';
import { assertOneAtATime, verifyStopped } from './ownership.ts';
import { type Pair, type PairOptions, withPair } from './pair.ts';

/**
 * The steps that QEMU's migration tests are made of, under its names in camelCase; the comment of each
 * says where we differ.
 *
 * @see QEMU tests/qtest/migration/framework.c, migration-util.c, migration-qmp.c.
 */

/**
 * QEMU's a-b guest: byte 0 of every page, ascending, for ever; all else is zero. It is a fifth as
 * large, so that a test takes a second and not ten.
 */
export const abGuest = { workload: 'sweep', fill: 0, memory: '32M', rate: 250_000 } as const;

/**
 * The same at a walk, 2.3 seconds for a sweep: QEMU's guest waits for the network at each page, ours
 * is served ahead of its sweep, and pages are to be missing still when a link is cut.
 */
export const slowAbGuest = { ...abGuest, rate: 4000 } as const;

/** `migrate_ensure_non_converge`; the guest writes 1 GB/s, QEMU's slower one needs 3 MB/s for it. */
export const nonConverge = { 'max-bandwidth': 60_000_000, 'downtime-limit': 1 } as const;

/** The same for the slow guest, with QEMU's own figure. */
export const slowNonConverge = { 'max-bandwidth': 3_000_000, 'downtime-limit': 1 } as const;

/** `migrate_ensure_converge` */
const converge = { 'max-bandwidth': 1_000_000_000, 'downtime-limit': 30_000 } as const;

/** What passes before postcopy begins, of a guest that is not waited for pass by pass. */
const MARKER_BYTES = 1024 * 1024;

/** How long a stopped guest is watched. QEMU takes 200 ms; a sweep of ours takes 40. */
const STILL_MILLIS = 100;

export type MigrateOptions = Partial<PairOptions>;

/** `migrate_start`: two guests, QEMU's set-up. What is not said otherwise goes over tcp, as QEMU's does. */
export async function withQemuPair(
  options: MigrateOptions,
  body: (pair: Pair) => Promise<void>,
): Promise<void> {
  const parameters = nonConverge;
  await withPair({ ...abGuest, transport: 'tcp', parameters, ...options }, body);
}

export async function ensureConverge(pair: Pair): Promise<void> {
  await setParameters(pair.source, converge);
}

/** `migrate_set_parameter_*`: reads back what it has set. */
export async function setParameters(
  guest: GuestProcess,
  parameters: Record<string, number>,
): Promise<void> {
  await guest.setParameters(parameters);
  const all = await guest.execute<Record<string, unknown>>('query-migrate-parameters');
  for (const [name, value] of Object.entries(parameters)) assert.equal(all[name], value, name);
}

/** `wait_for_serial`: QEMU's guest prints a letter when it works; ours has no serial line. */
export async function waitForGuest(guest: GuestProcess): Promise<void> {
  await using memory = await GuestMemory.open(guest);
  await memory.anyByteChanges();
}

/**
 * `migrate_wait_for_dirty_mem`: pages have passed, and of those some have been written again, so that
 * there is a second pass.
 */
export async function waitForDirtyMemory(guest: GuestProcess): Promise<void> {
  await using memory = await GuestMemory.open(guest);
  let transferred = 0;
  while (transferred < MARKER_BYTES) transferred = await transferredBytes(guest); // as QEMU, which looks into memory
  await memory.firstByteChanges();
}

async function transferredBytes(guest: GuestProcess): Promise<number> {
  interface Info {
    readonly status: string;
    readonly ram: { readonly transferred: number };
  }
  const { status, ram } = await guest.execute<Info>('query-migrate');
  assert.equal(status, 'active', 'the migration is over before it was to be');
  return ram.transferred;
}

/** `wait_for_stop`, `wait_for_resume`: the guest has left the one side and runs on the other. */
export async function waitForSwitchover(pair: Pair): Promise<void> {
  await pair.source.waitForEvent('STOP');
  await pair.destination.waitForEvent('RESUME');
}

/**
 * `migrate_end`: the source goes; at the destination memory keeps changing, then the guest is stopped
 * and nothing changes any more, and every page is what it must be. QEMU's check sees byte 0 of each
 * page, our verifier all of them.
 */
export async function migrateEnd(pair: Pair): Promise<void> {
  const { source, destination } = pair;
  await source.quit();
  await using memory = await GuestMemory.open(destination);
  await memory.firstByteChanges();
  await destination.execute('stop');
  const stopped = await memory.firstBytes();
  await after(STILL_MILLIS); // the window of the promise, not a wait for something
  assert.deepEqual(await memory.firstBytes(), stopped, 'a stopped guest writes');
  assert.deepEqual(badPages(stopped), [], 'pages that no sweep leaves so');
  await verifyStopped(destination);
  assertOneAtATime([source, destination]);
}

/**
 * `wait_for_migration_fail`: no state beside these was seen, and the guest runs at the source, whole.
 */
export async function expectRunsAtSource(pair: Pair, statuses: readonly string[]): Promise<void> {
  const { source } = pair;
  assert.deepEqual(source.statuses, statuses);
  assert.deepEqual(await source.runStatus(), { status: 'running', running: true });
  await using memory = await GuestMemory.open(source);
  await memory.anyByteChanges();
  await source.execute('stop');
  assert.deepEqual(badPages(await memory.firstBytes()), [], 'pages that no sweep leaves so');
  await verifyStopped(source);
}
