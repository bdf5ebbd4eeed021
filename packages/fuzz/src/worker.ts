import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Random } from '@godwit/chaos';
import { Corpus } from './corpus.ts';
import { HeldResources } from './held-resources.ts';
import { runLife } from './life.ts';
import { cleanPlan, flavours, furtherPlan, newPlan, type Plan } from './plan.ts';

/*
 * A process whose migrations are tampered with; its end, or its silence, is a finding as well.
 */

export interface WorkerOrder {
  readonly seed: number;
  readonly millis: number;
  /** Runs this one alone. */
  readonly plan?: Plan;
}

export type WorkerNews =
  | { readonly type: 'begins'; readonly plan: Plan }
  | {
      readonly type: 'ends';
      readonly links: number;
      readonly isNew: boolean;
      readonly signatures: readonly string[];
    }
  | { readonly type: 'finding'; readonly what: string }
  | { readonly type: 'done' };

/** Of a migration that is tampered with, beyond what the process had before. */
const GROWTH_BYTES_MAX = 384 * 1024 * 1024;
const LOOK_MILLIS = 10;
/** Plans that are gone on from. */
const PLANS_MAX = 500;

process.once('message', (order: WorkerOrder) => void work(order));

async function work(order: WorkerOrder): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'godwit-fuzz-'));
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
  const random = new Random('plans', order.seed);
  const corpus = new Corpus();
  const plans: Plan[] = [];
  const known = new Set<string>();
  const held = new HeldResources();
  let count = 0;
  const live = async (plan: Plan): Promise<void> => {
    tell({ type: 'begins', plan });
    const watch = watchGrowth();
    const { links, signatures, keptDescriptors } = await runLife(plan, {
      corpus,
      prefix: join(directory, String(count++)),
    });
    watch.check();
    if (count > flavours.length) await held.checkReturned(keptDescriptors);
    else held.reset(); // the first ones bring what stays: Node's own threads, libraries
    const fresh = signatures.filter((signature) => !known.has(signature));
    for (const signature of fresh) known.add(signature);
    if (fresh.length > 0 && plans.length < PLANS_MAX) plans.push(plan);
    tell({ type: 'ends', links, isNew: fresh.length > 0, signatures: fresh });
  };
  try {
    for (const flavour of flavours) await live(cleanPlan(flavour)); // records what there is to tamper with
    const until = performance.now() + order.millis;
    if (order.plan !== undefined) await live(order.plan);
    while (order.plan === undefined && performance.now() < until) {
      const goesOn = plans.length > 0 && random.chance(0.4);
      await live(goesOn ? furtherPlan(random.pick(plans), random) : newPlan(random));
    }
    tell({ type: 'done' });
  } catch (error) {
    tell({ type: 'finding', what: (error as Error).stack ?? String(error) });
  }
  process.disconnect();
  process.exit(0);
}

/** Threads and sockets of lives that went before are gone: what is there now is the baseline. */
function watchGrowth(): { check(): void } {
  const before = process.memoryUsage.rss();
  let peak = before;
  const timer = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss());
  }, LOOK_MILLIS);
  return {
    check(): void {
      clearInterval(timer);
      const growth = Math.max(peak, process.memoryUsage.rss()) - before;
      if (growth > GROWTH_BYTES_MAX) throw new Error(`the process grew by ${growth} bytes`);
    },
  };
}

function tell(news: WorkerNews): void {
  process.send?.(news);
}
