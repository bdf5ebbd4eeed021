import { type Address, ChannelError, dial, type DialSecurity, newSession } from '@godwit/transport';
import { Lifeline } from '../migration/lifeline.ts';
import { withLimit } from '../migration/limit.ts';
import type { LinkSample, ProbeSenderCommands } from '../threads/probe-api.ts';
import { Thread } from '../threads/thread.ts';

/** As long as a destination takes part in one. */
export const PROBE_MILLIS_MAX = 10_000;

export interface ProbeOptions {
  /** For how long the link is filled, in each of two manners; 0 measures the round trip alone. */
  readonly millis: number;
  /** For connecting, and for the opening. */
  readonly timeoutMillis: number;
  readonly signal?: AbortSignal;
  /** As a migration there would be secured. */
  readonly security?: DialSecurity | undefined;
}

/**
 * Measures what a link to a destination that waits carries, as a migration would use it: from a thread, in
 * blocking writes, one stream, at full speed. The destination goes on waiting.
 *
 * @throws {ChannelError} nobody listens there; it is busy with a source or another probe; it ended the
 *   probe, or the signal did; the link is too slow to be measured in PROBE_MILLIS_MAX.
 */
export async function probeLink(address: Address, options: ProbeOptions): Promise<LinkSample> {
  const { millis, timeoutMillis, signal = new AbortController().signal, security } = options;
  const opening = { session: newSession(), newSession: true, role: 'probe', epoch: 0 } as const;
  const channel = await dial(address, { ...opening, timeoutMillis, signal, security });
  const thread = new Thread<ProbeSenderCommands, never>('probe-sender', undefined);
  const lifeline = new Lifeline(() => channel.shutdown());
  try {
    const { descriptor } = channel;
    return await withLimit(thread.call('measure', { descriptor, millis }), {
      timeoutMillis: PROBE_MILLIS_MAX,
      signal,
      what: "the destination's report of the probe",
    });
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new ChannelError('ERR_ABORTED', 'the probe of the link was ended', { cause: error });
  } finally {
    channel.shutdown();
    await thread.end();
    channel.close();
    lifeline.release();
  }
}
