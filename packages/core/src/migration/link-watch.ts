import { ChannelError } from '@godwit/transport';
import type { Parameters } from '../parameters.ts';

/** Looks at each channel within the time that it may be silent. */
const LOOKS = 10;
/** So many looks in a row find nothing: silence is noticed within the time, not after it. */
const SILENT_LOOKS = LOOKS - 1;

/** @returns a number that changes with each sign of life; nothing: nobody waits for one now. */
export type Pulse = () => number | undefined;

interface Watched {
  readonly channel: string;
  readonly pulse: Pulse;
  before: number | undefined;
  silentLooks: number;
}

/**
 * Notices that a channel of a link has fallen silent. Time is counted in looks, not by the clock: a
 * process that was itself stopped for a while, or a main thread that was held up, has not looked
 * meanwhile, and does not blame the peer for it.
 */
export class LinkWatch {
  readonly #limitMillis: () => number;
  readonly #onSilent: (reason: ChannelError) => void;
  readonly #watched: Watched[] = [];
  #timer: NodeJS.Timeout | undefined;
  #ended = false;

  /**
   * @param limitMillis how long a channel may bring nothing, as it is now.
   * @param onSilent called once, with what is the end of the link.
   */
  constructor(limitMillis: () => number, onSilent: (reason: ChannelError) => void) {
    this.#limitMillis = limitMillis;
    this.#onSilent = onSilent;
  }

  /** From now on this channel as well, once the watch has begun. @param channel for the error. */
  add(channel: string, pulse: Pulse): void {
    this.#watched.push({ channel, pulse, before: undefined, silentLooks: 0 });
  }

  /** Both sides have agreed on heartbeats, and the peer's are on their way. */
  begin(): void {
    if (this.#timer === undefined && !this.#ended) this.#schedule();
  }

  end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    this.#timer = setTimeout(() => this.#look(), this.#limitMillis() / LOOKS);
  }

  #look(): void {
    for (const watched of this.#watched) {
      const now = watched.pulse();
      const isSilent = now !== undefined && now === watched.before;
      watched.silentLooks = isSilent ? watched.silentLooks + 1 : 0;
      watched.before = now;
    }
    const silent = this.#watched.find(({ silentLooks }) => silentLooks >= SILENT_LOOKS);
    if (silent === undefined) return this.#schedule();
    this.end();
    const millis = this.#limitMillis();
    const message = `the link was silent for ${millis} ms (${silent.channel} channel)`;
    this.#onSilent(new ChannelError('ERR_TIMEOUT', message));
  }
}

/** Fewer may be late together. */
const INTERVALS_MIN = 3;

/** How long a channel may bring nothing, with heartbeats at this interval or none. */
export function silenceMillisMax(parameters: Parameters, heartbeatMillis: number): number {
  return Math.max(parameters['x-link-timeout'], heartbeatMillis * INTERVALS_MIN);
}
