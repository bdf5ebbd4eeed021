import { setTimeout as after } from 'node:timers/promises';

import type { QmpClient } from '@godwit/qmp';
import PQueue from 'p-queue';

import { messageOf } from '../errors.ts';
import { queryMigrate, queryStatus } from '../migrate-info.ts';
import type { QmpDial } from '../qmp-option.ts';
import { BandwidthBudget } from './bandwidth-budget.ts';
import { Destination, DestinationPool, type DestinationSpec, ramOf } from './destination-pool.ts';
import { GuestMove, type MoveContext } from './guest-move.ts';
import { type GuestReport, isSettled, newReport } from './guest-report.ts';

export interface EvacuationOptions {
  readonly dial: QmpDial;
  /** Where the sources answer QMP. */
  readonly from: readonly string[];
  readonly to: readonly DestinationSpec[];
  /** How many guests move at once. */
  readonly parallel: number;
  /** Bytes per second, of all together. */
  readonly bandwidth: number | undefined;
  readonly postcopy: boolean;
  readonly retries: number;
}

export interface EvacuationHooks {
  readonly signal: AbortSignal;
  readonly onChange: (report: GuestReport) => void;
  /** A destination that cannot be used. */
  readonly onNote: (note: string) => void;
}

/** Run states in which a guest is not there to be moved. */
const unmovable: Readonly<Record<string, string>> = {
  inmigrate: 'it waits for a guest itself',
  postmigrate: 'its guest has left already',
  'finish-migrate': 'its guest is leaving already',
};

/** Moves guests away, several at a time; what cannot move stays where it runs, with the reason. */
export class Evacuation implements AsyncDisposable {
  readonly guests: readonly GuestReport[];
  readonly #options: EvacuationOptions;
  readonly #hooks: EvacuationHooks;
  readonly #clients: QmpClient[] = [];
  readonly #budget: BandwidthBudget;
  #moves: readonly GuestMove[] = [];

  constructor(options: EvacuationOptions, hooks: EvacuationHooks) {
    this.#options = options;
    this.#hooks = hooks;
    this.guests = options.from.map(newReport);
    this.#budget = new BandwidthBudget(options.bandwidth);
  }

  /** @returns when every guest is settled. */
  async run(): Promise<void> {
    const { parallel, postcopy, retries } = this.#options;
    const pool = new DestinationPool(await this.#surveyDestinations());
    const budget = this.#budget;
    const { signal, onChange } = this.#hooks;
    const context: MoveContext = { pool, budget, postcopy, retries, signal, onChange };
    const moves = await Promise.all(
      this.guests.map(async (report) => await this.#surveySource(report, context)),
    );
    this.#moves = moves.filter((move) => move !== undefined);
    const queue = new PQueue({ concurrency: parallel });
    await Promise.all(this.#moves.map(async (move) => await this.#move(move, queue)));
  }

  /**
   * Before everything is left to itself: what goes on does so within its own limits.
   *
   * @throws {Error} some process did not answer in time.
   */
  async giveLimitsBack(timeoutMillis: number): Promise<void> {
    const late = after(timeoutMillis).then(() => {
      throw new Error('not every source has its own bandwidth limits back: it did not answer');
    });
    late.catch(() => undefined); // time is up later as well, and nobody cares then
    await Promise.race([this.#budget.dissolve(), late]);
  }

  /** Asks for the figures of what is under way. */
  async refresh(): Promise<void> {
    const asked = this.#moves.filter(({ report }) => report.attempts > 0 && !isSettled(report));
    await Promise.allSettled(asked.map(async (move) => await move.refresh()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#clients.map(async (client) => await client.close()));
  }

  /** While it waits for another attempt, it takes no turn from others. */
  async #move(move: GuestMove, queue: PQueue): Promise<void> {
    for (let retry = 0; ; retry += 1) {
      const again = await queue.add(async () => await move.attempt());
      if (!again) return;
      if (retry === this.#options.retries) return this.#settle(move.report, 'left');
      await move.backOff();
    }
  }

  async #surveySource(report: GuestReport, context: MoveContext): Promise<GuestMove | undefined> {
    try {
      const client = await this.#connect(report.from);
      const { name } = await client.execute<{ name?: string }>('query-name');
      report.name = name ?? report.from;
      const { status } = await queryStatus(client);
      const why = unmovable[status];
      if (why !== undefined) {
        report.owner = status === 'postmigrate' ? 'destination' : 'unknown';
        report.reason = why;
        this.#settle(report, status === 'postmigrate' ? 'left' : 'unknown');
        return undefined;
      }
      const { status: migration = 'none' } = await queryMigrate(client);
      if (['setup', 'active', 'pre-switchover', 'cancelling'].includes(migration)) {
        report.reason = `somebody migrates it already (${migration})`;
        this.#settle(report, 'left');
        return undefined;
      }
      return new GuestMove(report, client, await ramOf(client), context);
    } catch (error) {
      Object.assign(report, { owner: 'unknown', reason: messageOf(error) });
      this.#settle(report, 'unknown');
      return undefined;
    }
  }

  async #surveyDestinations(): Promise<readonly Destination[]> {
    const found = await Promise.all(
      this.#options.to.map(async (spec) => {
        try {
          return await Destination.survey(spec, await this.#connect(spec.qmp));
        } catch (error) {
          this.#hooks.onNote(`${spec.qmp} cannot take a guest: ${messageOf(error)}`);
          return undefined;
        }
      }),
    );
    return found.filter((destination) => destination !== undefined);
  }

  async #connect(address: string): Promise<QmpClient> {
    const client = await this.#options.dial(address);
    this.#clients.push(client);
    return client;
  }

  #settle(report: GuestReport, phase: 'left' | 'unknown'): void {
    report.phase = phase;
    this.#hooks.onChange(report);
  }
}
