import type { GuestProcess } from './guest-process.ts';

/** A process that stands still as a whole, as its host may for a while; it goes on at the end at the latest. */
export class Suspension implements Disposable {
  /** When it came to stand still, on the clock of the events. */
  readonly sinceMillis = Date.now();
  readonly #guest: GuestProcess;

  constructor(guest: GuestProcess) {
    this.#guest = guest;
    process.kill(guest.pid, 'SIGSTOP');
  }

  end(): void {
    if (this.#guest.exit === undefined) process.kill(this.#guest.pid, 'SIGCONT');
  }

  [Symbol.dispose](): void {
    this.end();
  }
}
