import type { Address } from '@godwit/transport';
import type { AutoRecovery } from './auto-recovery.ts';

/**
 * Where the next link is to be tried, once one is lost: whoever wants it tried says so, or with
 * x-auto-recover it is where the last one was dialled.
 */
export class NextLink {
  readonly #autoRecovery: AutoRecovery | undefined;
  readonly #begin: () => void;
  #take: ((address: Address) => void) | undefined;
  #last: Address | undefined;

  /** @param begin called when an attempt begins, before its address is handed out. */
  constructor(autoRecovery: AutoRecovery | undefined, begin: () => void) {
    this.#autoRecovery = autoRecovery;
    this.#begin = begin;
  }

  /** A link is lost, and nobody has said where to try the next. */
  get isAwaited(): boolean {
    return this.#take !== undefined;
  }

  /** Which attempt follows by itself. */
  get scheduled(): number | undefined {
    return this.#autoRecovery?.scheduled;
  }

  dialled(address: Address): void {
    this.#last = address;
  }

  /** A new link stands: what failed before does not count any more. */
  stands(): void {
    this.#autoRecovery?.restart();
  }

  /** Awaited from this call on. */
  async address(): Promise<Address> {
    return await new Promise<Address>((resolve) => {
      this.#take = resolve;
    });
  }

  /** By hand: whatever was to follow by itself does not. */
  tryAt(address: Address): void {
    this.#autoRecovery?.restart();
    this.#try(address);
  }

  /** Nobody has asked for the loss of the link; unless somebody has an address already. */
  tryUnattended(): void {
    const last = this.#last;
    if (last === undefined || !this.isAwaited) return;
    this.#autoRecovery?.schedule(() => this.#try(last));
  }

  /** @returns whether an attempt was to follow by itself; now none is. */
  suspend(): boolean {
    return this.#autoRecovery?.suspend() ?? false;
  }

  #try(address: Address): void {
    const take = this.#take;
    this.#take = undefined;
    this.#begin();
    take?.(address);
  }
}
