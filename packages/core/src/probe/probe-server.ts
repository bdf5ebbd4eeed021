import type { Channel } from '@godwit/transport';
import { Lifeline } from '../migration/lifeline.ts';
import type { ProbeReceiverCommands } from '../threads/probe-api.ts';
import { Thread } from '../threads/thread.ts';
import { PROBE_MILLIS_MAX } from './link-probe.ts';

/** Serves the one probe that a destination which waits has at a time, for a limited time. */
export class ProbeServer {
  #channel: Channel | undefined;
  #gone: Promise<unknown> = Promise.resolve();

  get isBusy(): boolean {
    return this.#channel !== undefined;
  }

  /** Only where not busy. It ends by itself. */
  serve(channel: Channel): void {
    this.#channel = channel;
    this.#gone = Promise.all([this.#gone, this.#serve(channel)]);
  }

  /** At once: whoever comes now has the link to itself. The thread is gone soon after. */
  end(): void {
    this.#channel?.shutdown();
  }

  /** @returns when nothing of it is left. */
  async close(): Promise<void> {
    this.end();
    await this.#gone;
  }

  async #serve(channel: Channel): Promise<void> {
    const thread = new Thread<ProbeReceiverCommands, never>('probe-receiver', undefined);
    const lifeline = new Lifeline(() => channel.shutdown());
    const timer = setTimeout(() => channel.shutdown(), PROBE_MILLIS_MAX);
    // Whatever ends it is the prober's affair: who waits here is not disturbed.
    await thread.call('serve', { descriptor: channel.descriptor }).catch(() => undefined);
    clearTimeout(timer);
    channel.shutdown();
    this.#channel = undefined; // the next may come while this thread ends
    await thread.end();
    channel.close();
    lifeline.release();
  }
}
