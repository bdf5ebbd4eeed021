import {
  type Address,
  type Channel,
  type DestinationPhase,
  dial,
  type DialOptions,
  type Session,
} from '@godwit/transport';
import { dialling, handshake, type SourceContext } from './source-context.ts';

/** The identity of a migration, and how many links it has had. */
export interface SourceSession extends Session {
  epoch: number;
}

/** @throws {ChannelError} as `dial`. */
export async function dialMain(
  address: Address,
  session: SourceSession,
  options: Pick<DialOptions, 'timeoutMillis' | 'signal' | 'security' | 'newSession'>,
): Promise<Channel> {
  const { epoch } = session;
  return await dial(address, { session, role: 'main', epoch, ...options });
}

/** Opens the urgent channel, if it was agreed on, and lets requests be answered. */
export async function openUrgent(
  context: SourceContext,
  address: Address,
  session: SourceSession,
): Promise<void> {
  context.link.serveRequests(await dialUrgent(context, address, session));
}

async function dialUrgent(
  context: SourceContext,
  address: Address,
  session: SourceSession,
): Promise<Channel | undefined> {
  const { epoch } = session;
  const { capabilities } = context;
  if (!capabilities['postcopy-ram'] || !capabilities['postcopy-preempt']) return undefined;
  return await dial(address, { session, role: 'urgent', epoch, ...dialling(context) });
}

/**
 * Learns how far the destination got and what it lacks, and opens the urgent channel meanwhile.
 *
 * @returns how far the guest got there.
 */
export async function takeUp(
  context: SourceContext,
  address: Address,
  session: SourceSession,
): Promise<DestinationPhase> {
  const givenUp = new AbortController();
  const signal = AbortSignal.any([context.signal, givenUp.signal]);
  const urgentDial = dialUrgent({ ...context, signal }, address, session);
  urgentDial.catch(() => undefined); // awaited below, on each way out
  try {
    const phase = await exchangeBitmaps(context);
    if (phase === 'complete') givenUp.abort(); // what stands already ends with the link, not before
    context.link.serveRequests(await opened(urgentDial, phase));
    return phase;
  } catch (error) {
    givenUp.abort();
    const urgent = await urgentDial.catch(() => undefined);
    urgent?.close();
    throw error;
  }
}

/** When all is there, an urgent channel is of no use, and nothing is lost with it. */
async function opened(
  urgentDial: Promise<Channel | undefined>,
  phase: DestinationPhase,
): Promise<Channel | undefined> {
  return await (phase === 'complete' ? urgentDial.catch(() => undefined) : urgentDial);
}

/** Opens the page channels, if they were agreed on. */
export async function openPages(
  context: SourceContext,
  address: Address,
  session: SourceSession,
): Promise<void> {
  const { epoch } = session;
  const { link, threads } = context;
  const options = { session, role: 'page', epoch, ...dialling(context) } as const;
  // From its opening on a channel must not be silent for long: its thread is there before.
  await Promise.all(threads.pageSenders.map(async (it) => await it.call('ready', undefined)));
  for (const index of threads.pageSenders.keys()) {
    await link.attachPage(await dial(address, { ...options, index }));
  }
}

/**
 * Asks the destination what it has, and takes the rest for dirty.
 *
 * @returns how far the guest got there.
 */
async function exchangeBitmaps(context: SourceContext): Promise<DestinationPhase> {
  const { link, threads } = context;
  const bitmaps = link.expectBitmaps();
  await link.send({ t: 'recover' });
  const answer = await link.inbox.expect('recovering', handshake(context));
  link.beginWatch();
  if (answer.phase === 'complete') {
    for (const bitmap of threads.dirty) bitmap.clear();
    const { pages, digest, ram } = answer;
    link.inbox.push({ t: 'complete', pages, digest, ...(ram === undefined ? {} : { ram }) });
  } else {
    bitmaps.replaceDirty(threads.dirty, answer);
  }
  return answer.phase;
}

/** From here on both sides do as before the break. */
export async function resumeLink(context: SourceContext): Promise<void> {
  await context.link.send({ t: 'resume' });
  await context.link.inbox.expect('resumed', handshake(context));
}
