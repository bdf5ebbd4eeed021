import type { AutoConverge } from './auto-converge.ts';
import type { SourceContext } from './source-context.ts';
import { StallDetection } from './stall-detection.ts';
import { SwitchoverGate } from './switchover-gate.ts';
import { SyncTimer } from './sync-timer.ts';

/** How the guest is to be moved when the passes end. */
export type Switchover = 'precopy' | 'postcopy';

/**
 * What is asked of the passes while they run; looked at between them. Whoever sets one cuts the pass
 * short that is under way (`SourceLink.stopTransfer`).
 */
export interface PrecopyWishes {
  /** `migrate-start-postcopy`. */
  postcopy: boolean;
  /** A dirty sync now, and a look at whether the rest fits. */
  sync: boolean;
}

export interface PrecopyOptions {
  readonly wishes: PrecopyWishes;
  /** A dirty sync has been made. */
  readonly onPass: () => void;
  /** With the capability auto-converge. */
  readonly autoConverge: AutoConverge | undefined;
  /** With the capability x-auto-postcopy: the passes had stopped shrinking. */
  readonly onStall: (dirtyBytes: number) => void;
}

/** Begins to note writes: from here on every page that exists is dirty until it is sent. */
export async function track(context: SourceContext, onPass: () => void): Promise<void> {
  await context.threads.sender.call('track', undefined);
  context.statistics.tracked();
  context.signal.throwIfAborted();
  onPass();
}

/**
 * Sends pass after pass while the guest runs, each what was written during the one before, until the
 * rest fits into the downtime limit or postcopy is asked for. The limit is a limit and no aim: where
 * further passes leave less to the stopped guest, some are made.
 *
 * What is left after a pass is only looked at; the stopped guest's sync finds it, at less cost.
 *
 * @see QEMU migration/migration.c, migration_iteration_run.
 */
export async function precopy(
  context: SourceContext,
  options: PrecopyOptions,
): Promise<Switchover> {
  const { threads, signal } = context;
  const { wishes, autoConverge } = options;
  const further = new FurtherPasses();
  const stall = context.capabilities['x-auto-postcopy'] ? new StallDetection() : undefined;
  using gate = new SwitchoverGate(context, () => {
    if (wishes.postcopy) context.link.stopTransfer();
  });
  using timer = autoConverge && new SyncTimer(() => wishSync(context, wishes));
  for (let pass = 1; ; pass++) {
    signal.throwIfAborted();
    if (wishes.postcopy && gate.isOpen) return 'postcopy';
    const isWhole = !wishes.sync && (await sendPass(context, pass));
    if (isWhole) {
      const { writtenPages } = await threads.sender.call('look', undefined);
      signal.throwIfAborted();
      const pays = further.pay(writtenPages);
      if (fits(context, writtenPages)) {
        if (!gate.isOpen) await gate.rest();
        else if (!pays) return 'precopy';
        else further.made();
      }
    } else if (!wishes.sync) {
      continue; // for postcopy, or an abort: see above
    }
    wishes.sync = false;
    const dirtyPages = await sync(context, options);
    timer?.synced();
    if (!isWhole && gate.isOpen && fits(context, dirtyPages)) return 'precopy';
    if (autoConverge?.isExhausted === false) stall?.restart(); // it may yet slow the guest down
    const isStalled = stall?.isStalled(dirtyPages, isWhole) === true;
    if (isStalled && gate.isOpen && !fits(context, dirtyPages)) {
      options.onStall(context.statistics.bytesOf(dirtyPages));
      return 'postcopy';
    }
  }
}

/** @returns how many pages are dirty now, those included that were so before. */
async function sync(
  { threads, statistics, parameters, signal }: SourceContext,
  { autoConverge, onPass }: PrecopyOptions,
): Promise<number> {
  const { dirtyPages, dirtiedPages } = await threads.sender.call('sync', undefined);
  signal.throwIfAborted();
  statistics.synced(dirtiedPages, dirtyPages);
  statistics.estimate(parameters());
  const { transferredBytes } = statistics;
  autoConverge?.synced({ dirtiedBytes: statistics.bytesOf(dirtiedPages), transferredBytes });
  onPass();
  return dirtyPages;
}

/** Cuts the pass short that is under way. */
export function wishSync(context: Pick<SourceContext, 'link'>, wishes: PrecopyWishes): void {
  wishes.sync = true;
  context.link.stopTransfer();
}

/** @returns whether all of it was sent. */
async function sendPass(context: SourceContext, pass: number): Promise<boolean> {
  const { link, statistics, parameters } = context;
  const sent = await link.transfer({ rate: 'precopy', pass });
  statistics.transferred(sent);
  statistics.estimate(parameters());
  return !sent.stopped;
}

/** Can these be sent while the guest stands still? */
function fits(context: SourceContext, pages: number): boolean {
  const { parameters, statistics } = context;
  const limitMillis = parameters()['downtime-limit'];
  const bytesPerMilli = statistics.switchoverBytesPerMilli(parameters());
  return statistics.bytesOf(pages) <= bytesPerMilli * limitMillis;
}

/** So few pages are sent in less time than the rest of the downtime takes. */
const FEW_PAGES = 256;
/** A further pass must promise at least this to be made: what is left after it, of what was before. */
const SHRINKS_TO = 0.7;
/** In a whole migration: a guest that is quiet now and then must be caught in the end. */
const FURTHER_PASSES_MAX = 8;

/** Passes beyond what the limit asks for. */
class FurtherPasses {
  #before = Infinity;
  #made = 0;

  /** @returns whether to make one, though what was written during the pass fits already. */
  pay(writtenPages: number): boolean {
    const isMuch = writtenPages > FEW_PAGES && writtenPages < this.#before * SHRINKS_TO;
    this.#before = writtenPages;
    return isMuch && this.#made < FURTHER_PASSES_MAX;
  }

  made(): void {
    this.#made += 1;
  }
}
