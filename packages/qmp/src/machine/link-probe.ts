import { isRunning, type LinkSample, type MigrationStatus, probeLink } from '@godwit/core';
import type { Address, DialSecurity } from '@godwit/transport';

import { QmpError } from '../errors.ts';

/** What migrations say of themselves. */
export interface ProbeTimes {
  readonly status: MigrationStatus;
  /** `x-handshake-timeout`. */
  readonly timeoutMillis: number;
  /** As a migration would be. @throws {ChannelError} `ERR_CREDENTIALS`, as the migration would be refused. */
  readonly security: () => DialSecurity | undefined;
}

interface Probe {
  readonly given: AbortController;
  readonly sample: Promise<LinkSample>;
}

/** Measures the link to a destination from the process that would migrate to it: one at a time. */
export class LinkProbe {
  readonly #times: () => ProbeTimes;
  #probe: Probe | undefined;

  constructor(times: () => ProbeTimes) {
    this.#times = times;
  }

  /**
   * @param millis how long the link is filled, in each of two manners.
   * @throws {QmpError} a migration or another probe is under way. @throws {ChannelError} as probeLink.
   */
  async measure(address: Address, millis: number): Promise<LinkSample> {
    const { status, timeoutMillis, security } = this.#times();
    if (isRunning(status)) throw refuse("There's a migration process in progress");
    if (this.#probe !== undefined) throw refuse('the link is already being probed');
    const given = new AbortController();
    const options = { millis, timeoutMillis, signal: given.signal, security: security() };
    const probe = { given, sample: probeLink(address, options) };
    this.#probe = probe;
    try {
      return await probe.sample;
    } finally {
      this.#probe = undefined;
    }
  }

  /** A migration gets the link to itself. @returns when nothing of a probe is left here. */
  async end(): Promise<void> {
    this.#probe?.given.abort();
    await this.#probe?.sample.catch(() => undefined);
  }
}

function refuse(desc: string): QmpError {
  return new QmpError('GenericError', desc);
}
