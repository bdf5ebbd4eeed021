import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { QmpSocketError } from '@godwit/qmp';

import { ArmedFault } from './faults.ts';
import { findLeaks, proveOwner, unexplained } from './invariants.ts';
import { limits } from './limits.ts';
import { OwnerWatch } from './ownership.ts';
import type { Fault, Plan } from './schedule.ts';
import { Stage, type StageOptions } from './stage.ts';

/** How an attempt to get the guest across ended. */
type Outcome =
  /** It has arrived. */
  | 'completed'
  /** Before the order to run: it goes on at the source. */
  | 'failed'
  /** Each side holds a part, and a recovery can be asked for. */
  | 'paused'
  /** One side was killed, and the guest with it or for good without the memory that it held. */
  | 'stranded'
  | 'lost';

export interface RunResult {
  readonly seed: number;
  readonly plan: Plan;
  /** Faults that came about, in order; of the others the moment never came. */
  readonly came: readonly Fault[];
  readonly outcomes: readonly Outcome[];
  /** New links after a pause, and migrations begun anew after a failure. */
  readonly recoveries: number;
  readonly retries: number;
  /** How often it was asked who runs the guest. */
  readonly samples: number;
  readonly millis: number;
  /** What breaks a promise; nothing when all is well. */
  readonly found: readonly string[];
  /** Where the log of a run is that has found something. */
  readonly log?: string;
}

/** Attempts that nothing disturbs, after those that something does. */
const CALM_ATTEMPTS = 3;

/**
 * One migration under the faults of its plan, its operator's answers to them included, and the proof from
 * outside that every promise was kept. Processes and files are gone afterwards, but for the log.
 *
 * @throws the reason of the signal; or what kept the run from beginning.
 */
export async function runOnce(options: StageOptions & { logs: string }): Promise<RunResult> {
  const started = performance.now();
  const { plan, signal } = options;
  await using stage = await Stage.open(options);
  using _end = onAbort(signal, () => {
    for (const side of stage.sides) if (side.isAlive) side.kill(); // whoever waits is told so
  });
  const watch = new OwnerWatch(stage.sides);
  const operator = new Operator(stage);
  const found: string[] = [];
  try {
    await operator.bringAcross();
  } catch (error) {
    found.push((error as Error).message);
  }
  const twice = await watch.end();
  if (twice !== undefined) found.push(twice);
  found.push(...unexplained(stage.sides, operator.outcomes.at(-1) ?? ''));
  found.push(...stage.link.violations.map(({ message }) => `not the protocol: ${message}`));
  if (found.length === 0) {
    try {
      found.push(...(await proveOwner(stage, operator.outcomes.at(-1) ?? '')));
      found.push(...(await findLeaks(stage, operator.isLastCalm)));
    } catch (error) {
      found.push((error as Error).message);
    }
  }
  signal.throwIfAborted();
  const { came, outcomes, recoveries, retries } = operator;
  const { samples } = watch;
  const millis = Math.round(performance.now() - started);
  const result = {
    seed: plan.seed,
    plan,
    came,
    outcomes,
    recoveries,
    retries,
    samples,
    millis,
    found,
  };
  return found.length === 0 ? result : { ...result, log: await keepLog(stage, result, options) };
}

/** Does what whoever runs the two processes would do. */
class Operator {
  readonly came: Fault[] = [];
  readonly outcomes: Outcome[] = [];
  recoveries = 0;
  retries = 0;
  /** Nothing has disturbed the last attempt. */
  isLastCalm = true;
  readonly #stage: Stage;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** @throws {Error} a wait was in vain, or the guest did not get across though nothing was in its way. */
  async bringAcross(): Promise<void> {
    const { faults } = this.#stage.options.plan;
    let last: Outcome | undefined;
    for (let attempt = 0; attempt < faults.length + CALM_ATTEMPTS; attempt += 1) {
      const fault = faults[attempt];
      const armed = fault && new ArmedFault(fault, this.#stage);
      try {
        await this.#begin(last);
        last = await this.#settle();
      } finally {
        await armed?.end();
        this.isLastCalm = armed?.hasCome !== true;
        if (armed?.hasCome === true) this.came.push(armed.fault);
      }
      this.outcomes.push(last);
      if (last === 'completed' || last === 'stranded' || last === 'lost') return;
    }
    throw new Error(`${CALM_ATTEMPTS} attempts that nothing disturbed have not brought it across`);
  }

  /** The next attempt, by how the one before ended. */
  async #begin(last: Outcome | undefined): Promise<void> {
    const { source, link } = this.#stage;
    if (last === 'failed') {
      this.retries += 1;
      const { destination } = this.#stage;
      const isWaiting = destination.isAlive && destination.statuses.at(-1) === 'setup';
      if (!isWaiting) await this.#stage.replaceDestination();
    }
    if (last === 'paused') {
      this.recoveries += 1;
      // Each second time over another address, as after the loss of a network.
      const isPaused = this.#stage.destination.statuses.at(-1) === 'postcopy-paused';
      if (this.recoveries % 2 === 0 && isPaused) await this.#stage.listenElsewhere();
      return await unlessKilled(source.execute('migrate', { uri: link.uri, resume: true }));
    }
    const isPostcopy = this.#stage.options.plan.mode === 'postcopy';
    const begun = source.execute('migrate', { uri: link.uri });
    const wished = isPostcopy ? source.execute('migrate-start-postcopy') : undefined;
    await Promise.all([unlessKilled(begun), wished && unlessKilled(wished)]);
  }

  /**
   * Waits for what comes of the attempt. What was told before counts for the destination: it notices
   * nothing of a link that never reached it.
   */
  async #settle(): Promise<Outcome> {
    const { source, destination } = this.#stage;
    const there = await source.nextOf(['completed', 'failed', 'postcopy-paused'], limits.attempt);
    const ends = ['completed', 'failed', 'postcopy-paused'];
    const isUnheard = there === 'failed' || there === 'gone';
    const here = await destination.until(isUnheard ? ['setup', ...ends] : ends, limits.attempt);
    if (there === 'completed' || here === 'completed') {
      if (there === 'completed' || !source.isAlive) return 'completed';
      return destination.isAlive ? 'paused' : 'stranded';
    }
    if (there === 'gone') return here === 'postcopy-paused' ? 'stranded' : 'lost';
    if (there === 'failed') return 'failed';
    return destination.isAlive ? 'paused' : 'stranded';
  }
}

/** A process that is killed answers nothing, and what came of it events tell. */
async function unlessKilled(command: Promise<unknown>): Promise<void> {
  await command.catch((error: unknown) => {
    if (!(error instanceof QmpSocketError) || error.code === 'ERR_TIMEOUT') throw error;
  });
}

function onAbort(signal: AbortSignal, act: () => void): Disposable {
  signal.addEventListener('abort', act);
  return { [Symbol.dispose]: () => signal.removeEventListener('abort', act) };
}

async function keepLog(
  stage: Stage,
  result: Omit<RunResult, 'log'>,
  { logs }: { readonly logs: string },
): Promise<string> {
  await mkdir(logs, { recursive: true });
  const path = join(logs, `seed-${result.seed}.json`);
  const frames = stage.link.describe().split('\n');
  const sides = stage.sides.map((side) => side.describe());
  await writeFile(path, `${JSON.stringify({ ...result, frames, sides }, undefined, 2)}\n`);
  return path;
}
