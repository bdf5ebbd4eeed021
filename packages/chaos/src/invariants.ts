import { setTimeout as sleep } from 'node:timers/promises';

import { isRunning, type MigrationStatus } from '@godwit/core';

import { limits } from './limits.ts';
import { ranTwice, type Told } from './ownership.ts';
import { keptBeyond } from './resources.ts';
import type { Side } from './side.ts';
import type { Stage } from './stage.ts';

interface VerifyAnswer {
  readonly ok: boolean;
  readonly 'pages-checked': number;
  readonly 'pages-bad': number;
  readonly steps: readonly number[];
}

/**
 * The guest is where the outcome says, runs there and nowhere else, and every page of it is what it must
 * be; whoever has given it away refuses to run it.
 *
 * @returns what breaks that.
 */
export async function proveOwner(stage: Stage, outcome: string): Promise<string[]> {
  const owner = ownerOf(stage, outcome);
  const found: string[] = [];
  for (const side of stage.sides) {
    if (side !== owner && side.isAlive) found.push(...(await proveIdle(side, outcome)));
  }
  const isIdle = stage.options.plan.workload === 'idle';
  if (owner !== undefined) found.push(...(await proveWhole(owner, { isIdle })));
  for (const side of stage.sides) {
    if (side !== owner && side.isAlive && outcome === 'completed') {
      found.push(...(await proveRefusal(side)));
    }
  }
  const twice = ranTwice(stage.sides);
  return twice === undefined ? found : [...found, twice];
}

/** Stranded or lost it has none that could be looked at. */
function ownerOf({ source, destination }: Stage, outcome: string): Side | undefined {
  if (outcome === 'completed') return destination.isAlive ? destination : undefined;
  return outcome === 'failed' ? source : undefined;
}

/** What has become of a process, and of the guest there. */
export type Fate = Told & Pick<Side, 'isAlive' | 'isKilled' | 'statuses'>;

/**
 * A guest is given up only with a process that was killed: one that ends by itself, or gives up a guest that
 * has run there, has lost it by its own fault.
 */
export function unexplained(sides: readonly Fate[], outcome: string): string[] {
  const found: string[] = [];
  const destination = sides.at(-1);
  const isGivenUp = outcome === 'stranded' || outcome === 'lost';
  if (isGivenUp && !sides.some(({ isKilled }) => isKilled)) {
    found.push(`the guest is ${outcome}, and no process was killed`);
  }
  if (outcome === 'completed' && destination?.isAlive === false && !destination.isKilled) {
    found.push(`the ${destination.name} has ended with the guest`);
  }
  for (const side of sides) {
    const hasArrived = side.events.entries.some(({ name }) => name === 'RESUME');
    const isLost = hasArrived && !side.ranAtFirst && side.statuses.includes('failed');
    if (isLost) found.push(`the ${side.name} has given up a guest that ran there`);
  }
  return found;
}

/** Who waits in postcopy-paused at the destination may run what it has; nobody else may run anything. */
async function proveIdle(side: Side, outcome: string): Promise<string[]> {
  const isStranded = outcome === 'stranded' && side.statuses.at(-1) === 'postcopy-paused';
  const hasBegun = side.statuses.includes('device');
  if (isStranded && !hasBegun) return [];
  if (await side.runsGuest()) return [`the ${side.name} runs a guest that is not its own`];
  return hasBegun && side.ranAtFirst ? await proveStill(side) : [];
}

/** Time for a vCPU to make a step. */
const STEP_MILLIS = 100;

/**
 * That it does not run is what its run state says, which is that of a migration; no vCPU makes a step either,
 * and every page is as the guest has left it.
 */
export async function proveStill(side: Pick<Side, 'name' | 'qmp'>): Promise<string[]> {
  const before = await verify(side);
  await sleep(STEP_MILLIS);
  const after = await verify(side);
  const isStill = before.steps.every((steps, vcpu) => steps === after.steps[vcpu]);
  if (isStill && isWhole(before) && isWhole(after)) return [];
  return [`the guest that has left the ${side.name} goes on: ${JSON.stringify([before, after])}`];
}

/**
 * Stops it, checks every page, and lets it go on; and once more: nothing is written late, and the vCPUs
 * make steps.
 */
export async function proveWhole(owner: Side, { isIdle = false } = {}): Promise<string[]> {
  if (!(await owner.runsGuest())) {
    const { status } = await owner.runStatus();
    return [`the ${owner.name} has the guest and does not run it (${status})`];
  }
  const answers: VerifyAnswer[] = [];
  for (let look = 0; look < 2; look += 1) {
    if (look > 0) await sleep(STEP_MILLIS);
    await owner.execute('stop');
    answers.push(await verify(owner));
    const since = owner.events.entries.length;
    await owner.execute('cont');
    await owner.next('RESUME', since, limits.runState);
  }
  const [before = 0, after = 0] = answers.map(({ steps }) => steps.reduce((a, b) => a + b, 0));
  const isMoving = isIdle || after > before;
  if (answers.every(isWhole) && isMoving) return [];
  const what = isMoving ? 'is not whole' : 'makes no step';
  return [`the guest on the ${owner.name} ${what}: ${JSON.stringify(answers)}`];
}

async function verify({ qmp }: Pick<Side, 'qmp'>): Promise<VerifyAnswer> {
  return await qmp.execute('x-guest-verify', undefined, { timeoutMillis: limits.verify });
}

function isWhole({ ok, 'pages-bad': bad, 'pages-checked': checked }: VerifyAnswer): boolean {
  return ok && bad === 0 && checked > 0;
}

async function proveRefusal(side: Side): Promise<string[]> {
  const { status } = await side.runStatus();
  if (status === 'inmigrate') return []; // it takes the word for the time when a guest arrives
  const isRefused = await side.execute('cont').then(
    () => false,
    () => true,
  );
  return isRefused ? [] : [`the ${side.name} takes 'cont' for a guest that is not its own`];
}

/**
 * Allocators hold arenas of threads that have ended, V8 its heaps; and koffi the stack, its guard page
 * and the heap of each thread that made calls.
 */
const slack = { threads: 0, descriptors: 0, mappings: 40, residentBytes: Infinity };
const MAPPINGS_KEPT_PER_THREAD = 3;
const THREADS_OF_AN_ATTEMPT = 16;

/**
 * Ends every process in order.
 *
 * @param isLastCalm the link of the last attempt was left alone: the destination knows that the source has
 *   noted its completion. Else it keeps its threads, in case that the source asks.
 * @returns what a migration that is over has kept, and what the processes leave behind.
 */
export async function findLeaks(stage: Stage, isLastCalm: boolean): Promise<string[]> {
  const found: string[] = [];
  const attempts = stage.options.plan.faults.length + stage.sides.length;
  const mappings = slack.mappings + MAPPINGS_KEPT_PER_THREAD * THREADS_OF_AN_ATTEMPT * attempts;
  for (const side of stage.sides) {
    const status = side.statuses.at(-1) as MigrationStatus | undefined;
    const isOver = status !== undefined && !isRunning(status);
    if (!side.isAlive || !isOver || (side !== stage.source && !isLastCalm)) continue;
    const before = stage.heldAtFirst(side);
    const kept = await keptBeyond(side.pid, before, { ...slack, mappings }, limits.giveBack);
    found.push(...kept.map((what) => `the ${side.name} has kept ${what}`));
  }
  await stage.link.close();
  for (const side of stage.sides) found.push(...(await endOf(side)));
  const isSomeoneKilled = stage.sides.some(({ ending }) => ending?.signal === 'SIGKILL');
  const files = isSomeoneKilled ? [] : await stage.files(); // nobody cleans up after SIGKILL
  if (files.length > 0) found.push(`files left behind: ${files.join(', ')}`);
  return found;
}

/** A destination ends by itself, with 1, when the migration fails. */
async function endOf(side: Side): Promise<string[]> {
  const hasEnded = !side.isAlive;
  const { code, signal } = await side.quit(limits.end);
  const isDiscarded = side.statuses.at(-1) === 'failed' && !side.ranAtFirst;
  if (side.isKilled || (code === 0 && !hasEnded) || (isDiscarded && code === 1)) return [];
  return [`the ${side.name} ended with ${code ?? signal}: ${String(side.describe()['stderr'])}`];
}
