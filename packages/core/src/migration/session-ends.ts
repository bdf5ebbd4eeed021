import { sharedCapabilities } from '../capabilities.ts';
import { MigrationError } from '../errors.ts';
import type { Guest } from '../guest.ts';
import { withLimit } from './limit.ts';
import { expectedReceived } from './switchover.ts';
import { handshake, type SourceContext } from './source-context.ts';
import type { SourceLink } from './source-link.ts';

/** How long a cancel waits for a thread that does not end by itself before it cuts the link. */
export const CANCEL_GRACE_MILLIS = 200;

/** The first words: the destination adopts what will be migrated, or refuses by name. */
export async function agree(context: SourceContext, uuid: string | undefined): Promise<void> {
  const { guest, link, capabilities, threads } = context;
  const blocks = guest.ram.map((block) => [block.id, block.byteLength] as const);
  const caps = sharedCapabilities.filter((name) => capabilities[name]);
  const page = guest.ram[0]?.pageBytes ?? 0;
  const channels = threads.pageSenders.length;
  const start = {
    t: 'start',
    page,
    blocks,
    caps,
    uuid: uuid ?? null,
    ...(channels > 0 ? { channels } : {}),
    ...(threads.pageChannels.zlibLevel === undefined ? {} : { compression: 'zlib' }),
    ...(threads.heartbeatMillis === 0 ? {} : { heartbeat: threads.heartbeatMillis }),
  } as const;
  await (capabilities['x-checksum'] ? link.sendAndSeal(start) : link.send(start));
  await link.inbox.expect('started', handshake(context));
  link.beginWatch();
  // The first digest of a process takes milliseconds: not while the guest stands still.
  expectedReceived(context);
}

/**
 * The guest goes on at the source, if it was stopped there.
 *
 * @returns the reason for it, and that the guest does not go on, if it does not.
 */
export async function resumeHere(guest: Guest, stopped: boolean, reason: Error): Promise<Error> {
  try {
    if (stopped) await guest.resume();
    return reason;
  } catch (cause) {
    const why = (cause as Error).message;
    const message = `${reason.message}; the guest cannot go on here: ${why}`;
    return new MigrationError('ERR_PEER_LOST', message, { cause });
  }
}

/** The last words of a migration that is given up before the order to run; then the link is closed. */
export async function sayGoodbye(link: SourceLink, error: Error): Promise<void> {
  const limit = { timeoutMillis: CANCEL_GRACE_MILLIS, what: 'the end of the last transfer' };
  try {
    await withLimit(link.send({ t: 'abandon', why: error.message }), limit);
  } catch (cause) {
    link.drop(cause as Error);
  }
  await link.close();
}
