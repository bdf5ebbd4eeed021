import { upTo } from './limit.ts';
import { CHECK_MILLIS, tryLink } from './pre-switchover.ts';
import type { SourceContext } from './source-context.ts';

/** So long the passes rest where nothing is missing but the destination's word. */
const REST_MILLIS = 100;

/**
 * Whether the guest may be stopped: with the capability `switchover-ack` not before the destination has
 * said that it is ready. A guest that stands still anyway need not wait for that.
 *
 * @see QEMU migration/migration.c, migration_can_switchover.
 */
export class SwitchoverGate implements Disposable {
  readonly #context: SourceContext;
  #onOpen: (() => void) | undefined;
  #triedMillis = performance.now();

  /** @param onOpen the word has come, before the gate is disposed of. */
  constructor(context: SourceContext, onOpen: () => void) {
    this.#context = context;
    this.#onOpen = onOpen;
    if (!this.isOpen) void context.link.inbox.switchoverAck.then(() => this.#onOpen?.());
  }

  get isOpen(): boolean {
    const { capabilities, guest, link } = this.#context;
    return !capabilities['switchover-ack'] || !guest.running || link.inbox.hasSwitchoverAck;
  }

  /**
   * Until the word comes, or for a moment; then what the guest wrote meanwhile is to be sent. There is no
   * limit to how long the word takes, but the link that it is to come by must stand.
   */
  async rest(): Promise<void> {
    const { link, signal } = this.#context;
    await upTo(Promise.race([link.inbox.switchoverAck, link.inbox.ended]), REST_MILLIS, signal);
    signal.throwIfAborted();
    if (this.isOpen || performance.now() - this.#triedMillis < CHECK_MILLIS) return;
    await tryLink(this.#context);
    this.#triedMillis = performance.now();
  }

  /** The passes are over: a word that comes later is for nobody. */
  [Symbol.dispose](): void {
    this.#onOpen = undefined;
  }
}
