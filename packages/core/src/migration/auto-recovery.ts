import type { Parameters } from '../parameters.ts';

/** What is told of attempts that nobody asked for; milliseconds. */
export type RecoveryNews =
  /** Attempt `attempt` of `attempts` follows after `delay`. */
  | {
      readonly action: 'scheduled';
      readonly attempt: number;
      readonly attempts: number;
      readonly delay: number;
    }
  /** So many have failed: from here on somebody has to ask. */
  | { readonly action: 'given-up'; readonly attempts: number }
  /** `migrate-pause` during a back-off: from here on somebody has to ask. */
  | { readonly action: 'suspended' };

/**
 * Unattended recovery (capability `x-auto-recover`): after a link is lost, when to try the next one
 * without being asked, and when to give up.
 *
 * @see docs/decisions/0013-unattended-recovery.md
 */
export class AutoRecovery {
  readonly #parameters: () => Parameters;
  readonly #tell: (news: RecoveryNews) => void;
  readonly #random: () => number;
  #attempt = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param random from 0 to below 1. */
  constructor(
    parameters: () => Parameters,
    tell: (news: RecoveryNews) => void,
    random: () => number = Math.random,
  ) {
    this.#parameters = parameters;
    this.#tell = tell;
    this.#random = random;
  }

  /** Which attempt follows by itself; nothing while none does. */
  get scheduled(): number | undefined {
    return this.#timer === undefined ? undefined : this.#attempt;
  }

  /** A link is lost, or an attempt has failed. @param attempt begins the next one. */
  schedule(attempt: () => void): void {
    const parameters = this.#parameters();
    const attempts = parameters['x-recover-attempts'];
    if (this.#attempt >= attempts) return this.#tell({ action: 'given-up', attempts });
    this.#attempt += 1;
    const delay = backOffMillis(this.#attempt, {
      firstMillis: parameters['x-recover-backoff'],
      maxMillis: parameters['x-recover-backoff-max'],
      random: this.#random(),
    });
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      attempt();
    }, delay);
    this.#tell({ action: 'scheduled', attempt: this.#attempt, attempts, delay });
  }

  /** A new link stands, or somebody tries one by hand: what failed before does not count any more. */
  restart(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#attempt = 0;
  }

  /** @returns whether an attempt was to follow; now none is. */
  suspend(): boolean {
    if (this.#timer === undefined) return false;
    this.restart();
    this.#tell({ action: 'suspended' });
    return true;
  }
}

/**
 * Twice as long with each attempt, and at random between half of that and all of it: sources that lost
 * their links together do not come back together.
 *
 * @param attempt from 1.
 */
export function backOffMillis(
  attempt: number,
  how: { readonly firstMillis: number; readonly maxMillis: number; readonly random: number },
): number {
  const { firstMillis, maxMillis, random } = how;
  const whole = Math.min(maxMillis, firstMillis * 2 ** (attempt - 1));
  return Math.round(whole / 2 + (whole / 2) * random);
}
