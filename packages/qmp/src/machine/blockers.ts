import { type DestinationStatus, type Guest, isRunning, trackingBlocker } from '@godwit/core';

/**
 * Why this guest cannot be migrated away, whatever address it is to go to; QEMU's migration blockers.
 * `migrate` is refused with the first of them, query-migrate tells all.
 */
export class Blockers {
  readonly #ram: Guest['ram'];
  readonly #arrival: () => DestinationStatus | undefined;
  /** As found last; it changes only with the limits of this process. */
  #tracking: { readonly reason: string | undefined } | undefined;

  /** @param arrival of the migration that has brought the guest here, if there is one. */
  constructor(ram: Guest['ram'], arrival: () => DestinationStatus | undefined) {
    this.#ram = ram;
    this.#arrival = arrival;
  }

  /** Looks anew only at what may have changed for the better: clients ask many times a second. */
  reasons(): string[] {
    if (this.#tracking?.reason !== undefined) this.#tracking = undefined;
    return this.#all();
  }

  /** Looks anew at everything. */
  look(): string[] {
    this.#tracking = undefined;
    return this.#all();
  }

  #all(): string[] {
    this.#tracking ??= { reason: trackingBlocker(this.#ram) };
    const arrival = this.#arrival();
    // QEMU looks at the outgoing side only.
    const arriving =
      arrival !== undefined && isRunning(arrival)
        ? `memory of this guest is still to arrive (incoming migration: ${arrival})`
        : undefined;
    return [arriving, this.#tracking.reason].filter((reason) => reason !== undefined);
  }
}
