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
export async function track(context: SourceContext, options: PrecopyOptions): Promise<void> {
  const { dirtyPages } = await context.threads.sender.call('track', undefined);
  context.statistics.synced(dirtyPages);
  context.signal.throwIfAborted();
  options.onPass();
}

/**
 * Sends pass after pass while the guest runs, each what was written during the one before, until the
 * rest fits into the downtime limit or postcopy is asked for.
 *
 * @see QEMU migration/migration.c, migration_iteration_run.
 */
export async function precopy(
  context: SourceContext,
  options: PrecopyOptions,
): Promise<Switchover> {
  const { threads, link, statistics, signal } = context;
  for (let pass = 1; ; pass++) {
    signal.throwIfAborted();
    if (options.isPostcopyWanted()) return 'postcopy';
    const sent = await link.transfer({ rate: 'precopy', pass });
    statistics.transferred(sent);
    if (sent.stopped) continue; // for postcopy, or an abort: see above
    const { dirtiedPages } = await threads.sender.call('sync', undefined);
    statistics.synced(dirtiedPages);
    signal.throwIfAborted();
    options.onPass();
    if (statistics.remainingBytes() <= switchoverBytes(context)) return 'precopy';
  }
}

/** What can be sent while the guest stands still. */
function switchoverBytes(context: SourceContext): number {
  const parameters = context.parameters();
  const available = parameters['avail-switchover-bandwidth'];
  const bytesPerMilli = available > 0 ? available / 1000 : context.statistics.bytesPerMilli;
  return bytesPerMilli * parameters['downtime-limit'];
}
