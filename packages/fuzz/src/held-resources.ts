import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { setTimeout as after } from 'node:timers/promises';

/** Threads end shortly after their migration is told to have ended. */
const LIMIT_MILLIS = 10_000;
const LOOK_MILLIS = 10;

/** What this process holds that a migration could forget to give back. */
export class HeldResources {
  #threads = threads();
  #descriptors = descriptors();

  /** What is held now is what may be held later. */
  reset(): void {
    this.#threads = threads();
    this.#descriptors = descriptors();
  }

  /** @throws more is held than before, after all that may still be on its way. */
  async checkReturned(keptDescriptors: number): Promise<void> {
    this.#descriptors += keptDescriptors;
    const deadline = performance.now() + LIMIT_MILLIS;
    while (threads() > this.#threads || descriptors() > this.#descriptors) {
      const now = `${threads()} threads and ${descriptors()} descriptors`;
      const before = `${this.#threads} and ${this.#descriptors} before`;
      assert(performance.now() < deadline, `not all is given back: ${now}, ${before}`);
      await after(LOOK_MILLIS);
    }
  }
}

function threads(): number {
  return readdirSync('/proc/self/task').length;
}

function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}
