import { ChannelError, type ControlMessage } from '@godwit/transport';
import { MigrationError } from '../errors.ts';

/**
 * Says when the guest may be stopped at the source: whoever embeds a destination may have something to
 * prepare first. Asked once for each migration that brings `switchover-ack`.
 *
 * @param signal the link has ended: nobody waits any more.
 * @throws anything: the migration fails with its message, and the guest stays at the source.
 */
export type SwitchoverReady = (signal: AbortSignal) => Promise<void>;

interface AckLink {
  send(message: ControlMessage): Promise<void>;
  drop(reason: Error): void;
}

/** Gives the word, when it is time; never rejects. */
export async function giveSwitchoverAck(
  link: AckLink,
  isReady: SwitchoverReady = async () => undefined,
  signal: AbortSignal,
): Promise<void> {
  try {
    await isReady(signal);
    if (!signal.aborted) await link.send({ t: 'switchover-ack' });
  } catch (error) {
    if (signal.aborted || error instanceof ChannelError) return; // the link's own end tells
    const why = `not ready for the switchover: ${(error as Error).message}`;
    await link.send({ t: 'failed', why }).catch(() => undefined);
    link.drop(new MigrationError('ERR_DISCARDED', why, { cause: error }));
  }
}
