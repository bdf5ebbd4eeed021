import { ChannelError } from './errors.ts';

/**
 * Openings under way at once. More than can begin while the session's own peer, from an address as busy,
 * has its hello on the way; few enough for the descriptors of a process.
 */
export const PENDING_MAX = 512;

interface Opening {
  destroy(reason: ChannelError): void;
}

/**
 * Connections that have not said yet who they are. One more than may be drops the oldest of the address
 * that has most: strangers who say nothing keep nobody out, and those of one address push out each other.
 */
export class PendingOpenings {
  readonly #byAddress = new Map<string, Set<Opening>>();
  readonly #max: number;
  #size = 0;

  constructor(max: number = PENDING_MAX) {
    this.#max = max;
  }

  add(opening: Opening, from: string): void {
    const those = this.#byAddress.get(from);
    if (those === undefined) this.#byAddress.set(from, new Set([opening]));
    else those.add(opening);
    this.#size += 1;
    if (this.#size > this.#max) this.#dropOne();
  }

  /** It is one no more; idempotent. */
  delete(opening: Opening, from: string): void {
    const those = this.#byAddress.get(from);
    if (those?.delete(opening) !== true) return;
    this.#size -= 1;
    if (those.size === 0) this.#byAddress.delete(from);
  }

  destroyAll(reason: ChannelError): void {
    for (const those of this.#byAddress.values()) {
      for (const opening of those) opening.destroy(reason);
    }
  }

  #dropOne(): void {
    let from = '';
    let most = 0;
    for (const [address, { size }] of this.#byAddress) {
      if (size > most) [from, most] = [address, size];
    }
    const [oldest] = this.#byAddress.get(from) ?? [];
    if (oldest === undefined) return;
    this.delete(oldest, from); // now, not when it has noticed: the next one finds its place free
    oldest.destroy(new ChannelError('ERR_REFUSED', 'too many openings under way'));
  }
}
