import type { QmpEvent } from './messages.ts';

/** Events a client remembers for those who ask later: minutes of a lively migration. */
export const EVENT_LOG_LENGTH_MAX = 1024;

/**
 * The last events of a connection, each at a position that counts up from 0. A caller notes the
 * `end` before it starts something and looks from there on: what came meanwhile is not missed.
 */
export class EventLog {
  readonly #lengthMax: number;
  readonly #events: QmpEvent[] = [];
  #end = 0;

  constructor(lengthMax = EVENT_LOG_LENGTH_MAX) {
    this.#lengthMax = lengthMax;
  }

  /** The position of the next event. */
  get end(): number {
    return this.#end;
  }

  /** The oldest position still here; those before are forgotten. */
  get begin(): number {
    return this.#end - this.#events.length;
  }

  append(event: QmpEvent): void {
    this.#events.push(event);
    this.#end += 1;
    if (this.#events.length > this.#lengthMax) this.#events.shift();
  }

  /** Undefined when it is forgotten or still to come. */
  at(position: number): QmpEvent | undefined {
    return position < this.begin ? undefined : this.#events[position - this.begin];
  }

  /** @returns the first position at or after `since` whose event is meant, or undefined. */
  find(since: number, isMeant: (event: QmpEvent) => boolean): number | undefined {
    for (let position = Math.max(since, this.begin); position < this.#end; position += 1) {
      const event = this.at(position);
      if (event !== undefined && isMeant(event)) return position;
    }
    return undefined;
  }
}
