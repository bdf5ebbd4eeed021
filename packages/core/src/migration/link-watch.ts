import { ChannelError } from '@godwit/transport';
import type { Parameters } from '../parameters.ts';

/** Looks at each channel within the time that it may be silent. */
const LOOKS = 10;
/** And so often at least: the limit may be another one by then. */
const LOOK_MILLIS_MAX = 1000;
/** So many without a sign of life: silence is noticed within the time, not after it. */
const SILENT_LOOKS = LOOKS - 1;

/** @returns a number that changes with each sign of life; nothing: nobody waits for one now. */
export type Pulse = () => number | undefined;

interface Watched {
  readonly channel: string;
  readonly pulse: Pulse;
  before: number | undefined;
  silentMillis: number;
}

/**
 * Notices that a channel of a link has fallen silent. Time is counted by looks, not by the clock: a
 * process that was itself stopped for a while, or a main thread that was held up, has not looked
 * meanwhile, and does not blame the peer for it.
 */
export class LinkWatch {
  readonly #limitMillis: () => number;
  readonly #onSilent: (reason: ChannelError) => void;
  readonly #onLimit: (millis: number) => void;
  readonly #watched: Watched[] = [];
  #timer: NodeJS.Timeout | undefined;
  #ended = false;
  /** As it was at the last look. */
  #limit: number;

  /**
   * @param limitMillis how long a channel may bring nothing, as it is now.
   * @param onSilent called once, with what is the end of the link.
   * @param onLimit told where it has become another, for whoever counts besides: the kernel.
   */
  constructor(
    limitMillis: () => number,
    onSilent: (reason: ChannelError) => void,
    onLimit: (millis: number) => void = () => undefined,
  ) {
    this.#limitMillis = limitMillis;
    this.#limit = limitMillis();
    this.#onSilent = onSilent;
    this.#onLimit = onLimit;
  }

  /** From now on this channel as well, once the watch has begun. @param channel for the error. */
  add(channel: string, pulse: Pulse): void {
    this.#watched.push({ channel, pulse, before: undefined, silentMillis: 0 });
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
    this.#takeLimit();
    const millis = Math.min(Math.ceil(this.#limit / LOOKS), LOOK_MILLIS_MAX);
    this.#timer = setTimeout(() => this.#look(millis), millis);
  }

  #takeLimit(): void {
    const millis = this.#limitMillis();
    if (millis === this.#limit) return;
    this.#limit = millis;
    this.#onLimit(millis);
  }

  /** @param millis that it was waited for. */
  #look(millis: number): void {
    this.#takeLimit();
    for (const watched of this.#watched) {
      const now = watched.pulse();
      const isSilent = now !== undefined && now === watched.before;
      watched.silentMillis = isSilent ? watched.silentMillis + millis : 0;
      watched.before = now;
    }
    const limit = this.#limit;
    const silent = this.#watched.find((it) => it.silentMillis * LOOKS >= limit * SILENT_LOOKS);
    if (silent === undefined) return this.#schedule();
    this.end();
    const message = `the link was silent for ${limit} ms (${silent.channel} channel)`;
    this.#onSilent(new ChannelError('ERR_TIMEOUT', message));
  }
}

/** Fewer may be late together. */
const INTERVALS_MIN = 3;

/** How long a channel may bring nothing, with heartbeats at this interval or none. */
export function silenceMillisMax(parameters: Parameters, heartbeatMillis: number): number {
  return Math.max(parameters['x-link-timeout'], heartbeatMillis * INTERVALS_MIN);
}
