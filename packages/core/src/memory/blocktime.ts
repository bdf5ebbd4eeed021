import type { SettledFault } from './fault-ledger.ts';

/** Adds up who waited how long, and for how long nobody could run; one thread uses it. */
export class Blocktime {
  readonly #vcpus: number;
  readonly #totals = new Map<number, number>();
  readonly #last = new Map<number, SettledFault>();

  constructor(vcpus: number) {
    this.#vcpus = vcpus;
  }

  /** @returns by how many milliseconds the time in which every vCPU waited has grown. */
  add(fault: SettledFault): number {
    const { threadId, askedMillis, placedMillis } = fault;
    this.#totals.set(threadId, (this.#totals.get(threadId) ?? 0) + placedMillis - askedMillis);
    this.#last.set(threadId, fault);
    if (this.#last.size < this.#vcpus) return 0;
    let from = askedMillis;
    let to = placedMillis;
    for (const other of this.#last.values()) {
      from = Math.max(from, other.askedMillis);
      to = Math.min(to, other.placedMillis);
    }
    return Math.max(0, to - from);
  }

  byThread(): (readonly [threadId: number, millis: number])[] {
    return [...this.#totals];
  }
}
