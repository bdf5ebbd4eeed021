import type { SourceContext } from './source-context.ts';

/** How the guest is to be moved when the passes end. */
export type Switchover = 'precopy' | 'postcopy';

export interface PrecopyOptions {
  /** `migrate-start-postcopy` was asked for; looked at after each pass, which it also cuts short. */
  readonly isPostcopyWanted: () => boolean;
  /** A dirty sync has been made. */
  readonly onPass: () => void;
}

/** Begins to note writes: from here on every page that exists is dirty until it is sent. */
export async function track(context: SourceContext, onPass: () => void): Promise<void> {
  const { dirtyPages } = await context.threads.sender.call('track', undefined);
  context.statistics.synced(dirtyPages);
  context.signal.throwIfAborted();
  onPass();
}

/** So few pages are sent in less time than the rest of the downtime takes. */
const FEW_PAGES = 256;
/** A further pass must promise at least this to be made: what is left after it, of what was before. */
const SHRINKS_TO = 0.7;
/** In a whole migration: a guest that is quiet now and then must be caught in the end. */
const FURTHER_PASSES_MAX = 8;

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
  const { threads, link, statistics, signal } = context;
  let before = Infinity;
  let furtherPasses = 0;
  for (let pass = 1; ; pass++) {
    signal.throwIfAborted();
    if (options.isPostcopyWanted()) return 'postcopy';
    const sent = await link.transfer({ rate: 'precopy', pass });
    statistics.transferred(sent);
    if (sent.stopped) continue; // for postcopy, or an abort: see above
    const { writtenPages } = await threads.sender.call('look', undefined);
    signal.throwIfAborted();
    if (statistics.bytesOf(writtenPages) <= switchoverBytes(context)) {
      const pays = writtenPages > FEW_PAGES && writtenPages < before * SHRINKS_TO;
      if (!pays || furtherPasses === FURTHER_PASSES_MAX) return 'precopy';
      furtherPasses += 1;
    }
    before = writtenPages;
    const { dirtiedPages } = await threads.sender.call('sync', undefined);
    statistics.synced(dirtiedPages);
    signal.throwIfAborted();
    options.onPass();
  }
}

/** What can be sent while the guest stands still. */
function switchoverBytes(context: SourceContext): number {
  const parameters = context.parameters();
  const available = parameters['avail-switchover-bandwidth'];
  const bytesPerMilli = available > 0 ? available / 1000 : context.statistics.bytesPerMilli;
  return bytesPerMilli * parameters['downtime-limit'];
}
