import {
  type Address,
  type Channel,
  type DestinationPhase,
  dial,
  type Session,
} from '@godwit/transport';
import { handshake, type SourceContext } from './source-context.ts';

/** The identity of a migration, and how many links it has had. */
export interface SourceSession extends Session {
  epoch: number;
}

/** @throws {ChannelError} as `dial`. */
export async function dialMain(
  address: Address,
  session: SourceSession,
  options: { timeoutMillis: number; signal: AbortSignal; newSession?: boolean },
): Promise<Channel> {
  const { epoch } = session;
  return await dial(address, { session, role: 'main', epoch, ...options });
}

/** Opens every channel beside the main channel that was agreed on. */
export async function openFurther(
  context: SourceContext,
  address: Address,
  session: SourceSession,
): Promise<void> {
  await openPages(context, address, session);
  await openUrgent(context, address, session);
}

/** Opens the urgent channel, if it was agreed on, and lets requests be answered. */
export async function openUrgent(
  context: SourceContext,
  address: Address,
  session: SourceSession,
): Promise<void> {
  const { epoch } = session;
  const { capabilities, link } = context;
  const urgent = capabilities['postcopy-ram'] && capabilities['postcopy-preempt'];
  const options = { session, role: 'urgent', epoch, ...handshake(context) } as const;
  link.serveRequests(urgent ? await dial(address, options) : undefined);
}

/** Opens the page channels, if they were agreed on. */
export async function openPages(
  context: SourceContext,
  address: Address,
  session: SourceSession,
): Promise<void> {
  const { epoch } = session;
  const { link, threads } = context;
  const options = { session, role: 'page', epoch, ...handshake(context) } as const;
  const channels: Channel[] = [];
  try {
    for (const index of threads.pageSenders.keys()) {
      channels.push(await dial(address, { ...options, index }));
    }
  } finally {
    // Those that stand already are closed with the link, whatever becomes of the others.
    await link.attachPages(channels);
  }
}

/**
 * Asks the destination what it has, and takes the rest for dirty.
 *
 * @returns how far the guest got there.
 */
export async function exchangeBitmaps(context: SourceContext): Promise<DestinationPhase> {
  const { link, threads } = context;
  await link.send({ t: 'recover' });
  const answer = await link.inbox.expect('recovering', handshake(context));
  if (answer.phase === 'complete') {
    for (const bitmap of threads.dirty) bitmap.clear();
    link.inbox.push({ t: 'complete', pages: answer.pages, digest: answer.digest });
  } else {
    link.recvBitmaps.replaceDirty(threads.dirty, answer);
  }
  return answer.phase;
}

/** From here on both sides do as before the break. */
export async function resumeLink(context: SourceContext): Promise<void> {
  await context.link.send({ t: 'resume' });
  await context.link.inbox.expect('resumed', handshake(context));
}
