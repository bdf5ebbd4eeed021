import assert from 'node:assert/strict';
import type { GuestProcess } from './guest-process.ts';

interface Period {
  readonly name: string;
  readonly from: number;
  /** Undefined: it still runs. */
  readonly until: number | undefined;
}

interface VerifyAnswer {
  readonly ok: boolean;
  readonly 'pages-checked': number;
  readonly 'pages-bad': number;
  readonly 'bad-pages': readonly unknown[];
  readonly steps: readonly number[];
}

export interface VerifyOptions {
  /** The owner was paused before and is to be so still. */
  readonly paused?: boolean;
}

const SAMPLES = 3;

/**
 * The one promise behind all others: of all these processes the guest runs on `owner`, never ran on
 * two at once, and every byte of it is what it must be. The owner is stopped afterwards.
 */
export async function verifyOwner(
  owner: GuestProcess,
  others: readonly GuestProcess[],
  { paused = false }: VerifyOptions = {},
): Promise<void> {
  await verifyRunning(owner, others, { paused });
  const steps = await verifyStopped(owner);
  if (paused) return;
  await owner.execute('cont');
  await owner.waitForEvent('RESUME');
  const later = await verifyStopped(owner);
  assert(later >= steps, `${owner.name} went from ${steps} steps back to ${later}`);
  for (const other of others) await assertCannotRun(other);
}

/** The guest runs on `owner` and nowhere else, and never ran on two at once. */
export async function verifyRunning(
  owner: GuestProcess,
  others: readonly GuestProcess[],
  { paused = false }: VerifyOptions = {},
): Promise<void> {
  const all = [owner, ...others];
  for (let sample = 0; sample < SAMPLES; sample += 1) {
    assert.deepEqual(await runnersOf(all), paused ? [] : [owner.name], 'who runs the guest');
  }
  assertOneAtATime(all);
}

/** Stops the guest and checks every page. @returns the steps it has made. */
export async function verifyStopped(guest: GuestProcess): Promise<number> {
  await guest.execute('stop');
  const answer = await guest.execute<VerifyAnswer>('x-guest-verify');
  const { ok, 'pages-bad': bad, 'pages-checked': checked, steps } = answer;
  assert(checked > 0, 'no page was checked');
  assert(ok && bad === 0, `${guest.name}: ${JSON.stringify(answer)}`);
  return steps.reduce((total, vcpuSteps) => total + vcpuSteps, 0);
}

async function runnersOf(guests: readonly GuestProcess[]): Promise<string[]> {
  const areRunning = await Promise.all(guests.map((guest) => guest.isRunningGuest()));
  return guests.filter((_guest, i) => areRunning[i]).map(({ name }) => name);
}

/**
 * Whoever has given the guest away refuses to run it. Whoever waits for one takes the word for the time when
 * it arrives, as QEMU does, and runs nothing until then.
 */
async function assertCannotRun(guest: GuestProcess): Promise<void> {
  if (guest.exit !== undefined) return;
  const { status } = await guest.runStatus();
  const cont = async (): Promise<unknown> => await guest.execute('cont');
  if (status === 'inmigrate') await cont();
  else await assert.rejects(cont, `${guest.name} runs a guest that is not its own`);
  assert.equal((await guest.runStatus()).running, false, `${guest.name} runs after a refused cont`);
}

/** By STOP and RESUME of all processes on one clock: no two periods overlap. */
export function assertOneAtATime(guests: readonly GuestProcess[]): void {
  const periods = guests.flatMap(periodsOf).toSorted((a, b) => a.from - b.from);
  for (const [i, period] of periods.entries()) {
    const next = periods[i + 1];
    if (next === undefined || next.name === period.name) continue;
    const { until } = period;
    assert(
      until !== undefined && until <= next.from,
      `the guest ran twice: ${JSON.stringify(period)} and ${JSON.stringify(next)}`,
    );
  }
}

function periodsOf(guest: GuestProcess): Period[] {
  const periods: Period[] = [];
  let from = guest.ranAtFirst ? 0 : undefined;
  for (const { name, micros } of guest.events.entries) {
    if (name === 'RESUME') from ??= micros;
    if (name === 'STOP' && from !== undefined) {
      periods.push({ name: guest.name, from, until: micros });
      from = undefined;
    }
  }
  if (from !== undefined) periods.push({ name: guest.name, from, until: guest.endedMicros });
  return periods;
}
