import { upTo } from './limit.ts';
import { handshake, type SourceContext } from './source-context.ts';

/** How often the link is tried while somebody takes time. */
export const CHECK_MILLIS = 1000;

/**
 * The pause before the switchover (capability `pause-before-switchover`): the guest stands still, its
 * device state is not saved yet, and somebody outside has the time to do what must be done just now.
 */
export class PreSwitchover {
  #continue: (() => void) | undefined;

  /** What is said while nobody waits is not kept for later. */
  continue(): void {
    this.#continue?.();
  }

  /**
   * Has no limit in time: an operator may take any. But a link that is lost ends it, also one that only
   * fell silent, and so does an abort.
   *
   * @param tell that it begins; who hears of it may end it there and then.
   */
  async wait(context: SourceContext, tell: () => void): Promise<void> {
    const { link, signal } = context;
    const continued = new Promise<'continued'>((resolve) => {
      this.#continue = () => resolve('continued');
    });
    tell();
    const over = Promise.race([continued, link.inbox.ended]);
    while ((await upTo(over, CHECK_MILLIS, signal)) === undefined) {
      await tryLink(context);
    }
    signal.throwIfAborted();
  }
}

/** A link on which nothing else is said may have fallen silent. @throws that, after the handshake's time. */
export async function tryLink(context: SourceContext): Promise<void> {
  await context.link.send({ t: 'flush' });
  await context.link.inbox.expect('flushed', handshake(context));
}
