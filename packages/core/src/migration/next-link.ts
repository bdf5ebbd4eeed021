import type { Address } from '@godwit/transport';

/** Where the next link is to be tried, once one is lost: whoever wants it tried says so, once. */
export class NextLink {
  #tryAt: ((address: Address) => void) | undefined;

  /** A link is lost, and nobody has said where to try the next. */
  get isAwaited(): boolean {
    return this.#tryAt !== undefined;
  }

  /** Awaited from this call on. */
  async address(): Promise<Address> {
    return await new Promise<Address>((resolve) => {
      this.#tryAt = resolve;
    });
  }

  tryAt(address: Address): void {
    this.#tryAt?.(address);
    this.#tryAt = undefined;
  }
}
