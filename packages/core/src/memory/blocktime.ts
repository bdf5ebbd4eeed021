/** One vCPU's thread: what it has waited in all, and its last wait. */
interface Waiter {
  readonly threadId: number;
  waits: number;
  totalMillis: number;
  askedMillis: number;
  placedMillis: number;
}

/** What one thread has waited, all its waits together. */
export interface ThreadWaits {
  readonly threadId: number;
  readonly waits: number;
  readonly millis: number;
}

/** Adds up who waited how long, and for how long nobody could run; one thread uses it. */
export class Blocktime {
  readonly #vcpus: number;
  /** A guest has few vCPUs: they are looked through. */
  readonly #waiters: Waiter[] = [];

  constructor(vcpus: number) {
    this.#vcpus = vcpus;
  }

  /** @returns by how many milliseconds the time in which every vCPU waited has grown. */
  add(threadId: number, askedMillis: number, placedMillis: number): number {
    const waiter = this.#waiterOf(threadId);
    waiter.waits += 1;
    waiter.totalMillis += placedMillis - askedMillis;
    waiter.askedMillis = askedMillis;
    waiter.placedMillis = placedMillis;
    if (this.#waiters.length < this.#vcpus) return 0;
    let from = askedMillis;
    let to = placedMillis;
    for (const other of this.#waiters) {
      from = Math.max(from, other.askedMillis);
      to = Math.min(to, other.placedMillis);
    }
    return Math.max(0, to - from);
  }

  byThread(): ThreadWaits[] {
    return this.#waiters.map(({ threadId, waits, totalMillis }) => {
      return { threadId, waits, millis: totalMillis };
    });
  }

  #waiterOf(threadId: number): Waiter {
    for (const waiter of this.#waiters) if (waiter.threadId === threadId) return waiter;
    const waiter = { threadId, waits: 0, totalMillis: 0, askedMillis: 0, placedMillis: 0 };
    this.#waiters.push(waiter);
    return waiter;
  }
}
