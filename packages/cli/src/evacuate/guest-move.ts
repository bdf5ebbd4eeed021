import { type QmpClient, QmpError, QmpSocketError } from '@godwit/qmp';

import { messageOf } from '../errors.ts';
import { followMigration, restingStatuses } from '../follow-migration.ts';
import { queryMigrate, queryStatus } from '../migrate-info.ts';
import { backOff } from './back-off.ts';
import type { BandwidthBudget } from './bandwidth-budget.ts';
import type { Destination, DestinationPool } from './destination-pool.ts';
import { type GuestReport, ownerAt, takeFigures } from './guest-report.ts';

/** What all moves of an evacuation share. */
export interface MoveContext {
  readonly pool: DestinationPool;
  readonly budget: BandwidthBudget;
  readonly postcopy: boolean;
  /** Of the migration, and of its links in postcopy. */
  readonly retries: number;
  /** Ctrl-C. What is before its switchover is cancelled; what is past it is waited for. */
  readonly signal: AbortSignal;
  readonly onChange: (report: GuestReport) => void;
}

const INTERRUPTED = 'interrupted';
const GONE = 'it does not answer any more; if its process has ended, the guest is lost';

/**
 * The move of one guest. Its report is true at any moment, and at the end says who owns the guest: only
 * the source's word counts for that, and where it cannot be had, the destination's.
 */
export class GuestMove {
  readonly report: GuestReport;
  readonly #client: QmpClient;
  readonly #ram: string;
  readonly #context: MoveContext;

  constructor(report: GuestReport, client: QmpClient, ram: string, context: MoveContext) {
    this.report = report;
    this.#client = client;
    this.#ram = ram;
    this.#context = context;
  }

  /** Tries once. @returns whether it is worth another try; otherwise the report is settled. */
  async attempt(): Promise<boolean> {
    const { pool, signal } = this.#context;
    if (signal.aborted) return this.#left(`${INTERRUPTED} before it began`);
    const destination = pool.take(this.#ram);
    if (destination === undefined) return this.#left(this.#report.reason ?? pool.whyNot(this.#ram));
    this.#change({ phase: 'moving', to: destination.qmp, attempts: this.#report.attempts + 1 });
    try {
      return await this.#moveTo(destination);
    } catch (error) {
      if (!(error instanceof QmpError || error instanceof QmpSocketError)) throw error;
      return await this.#failed(error, destination);
    } finally {
      // A process that has ended takes no guest; nor does one that has got this one, or parts of it.
      if (this.#report.owner === 'source' && (await runStateAt(destination)) === 'inmigrate') {
        pool.giveBack(destination);
      }
    }
  }

  /** Before another attempt: how long to wait grows. */
  async backOff(): Promise<void> {
    this.#change({ phase: 'backing-off' });
    await backOff(this.#report.attempts, this.#context.signal);
  }

  async refresh(): Promise<void> {
    takeFigures(this.#report, await queryMigrate(this.#client));
  }

  get #report(): GuestReport {
    return this.report;
  }

  async #moveTo(destination: Destination): Promise<boolean> {
    const { budget, postcopy, signal } = this.#context;
    const client = this.#client;
    const uri = await destination.listen(postcopy);
    this.#change({ uri });
    // What is on stays so: it may be needed by something else that is (`x-auto-postcopy`).
    const names = ['events', ...(postcopy ? ['postcopy-ram'] : [])];
    const capabilities = names.map((capability) => ({ capability, state: true }));
    await client.execute('migrate-set-capabilities', { capabilities });
    await using _share = await budget.join(client);
    if (signal.aborted) return this.#left(`${INTERRUPTED} before it began`);
    const since = client.eventCursor;
    await client.execute('migrate', { uri });
    // Refused past the switchover: then there is an end to be waited for.
    const cancel = (): void => void client.execute('migrate_cancel').catch(() => undefined);
    signal.addEventListener('abort', cancel);
    try {
      if (signal.aborted) cancel();
      const status = await this.#follow(since);
      const rests = status === 'postcopy-paused' ? await this.#recover(uri) : status;
      return await this.#ended(rests, destination);
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  }

  /** @returns where it rests. */
  async #follow(since: number): Promise<string> {
    const onStatus = (status: string): void => {
      this.#change({ status, owner: ownerAt(status) });
      this.#nameThePause(status);
      if (status === 'postcopy-active') this.#change({ phase: 'moving' });
      if (status !== 'active' || !this.#context.postcopy) return;
      // Refused only when it is over already, which its status tells.
      void this.#client.execute('migrate-start-postcopy').catch(() => undefined);
    };
    return await followMigration(this.#client, { since, until: restingStatuses, onStatus });
  }

  /** Whoever switched `pause-before-switchover` on wants to say when: it is theirs to continue. */
  #nameThePause(status: string): void {
    if (status === 'pre-switchover') {
      const command = `godwit qmp --qmp ${this.report.from} migrate-continue`;
      const reason = `pause-before-switchover is on; to go on: ${command} '{"state": "pre-switchover"}'`;
      return this.#change({ reason });
    }
    if (this.#report.reason?.startsWith('pause-before-switchover') !== true) return;
    delete this.#report.reason;
    this.#change({});
  }

  /** New links, as often as it takes and as may be. @returns where it rests at last. */
  async #recover(uri: string): Promise<string> {
    const { retries, signal } = this.#context;
    for (let retry = 1; ; retry += 1) {
      await this.#takeReason();
      if (signal.aborted || retry > retries) return 'postcopy-paused';
      this.#change({ phase: 'recovering' });
      await backOff(retry, signal);
      if (signal.aborted) return 'postcopy-paused';
      this.#change({ recoveries: this.#report.recoveries + 1 });
      const since = this.#client.eventCursor;
      try {
        await this.#client.execute('migrate', { uri, resume: true });
      } catch (error) {
        if (!(error instanceof QmpError)) throw error;
      }
      const status = await this.#resumed(since);
      if (status !== 'postcopy-paused') return status;
    }
  }

  /** By us, or by somebody else meanwhile (`x-auto-recover`), so that we were refused. */
  async #resumed(since: number): Promise<string> {
    const { status = 'none' } = await queryMigrate(this.#client);
    if (!restingStatuses.has(status)) return await this.#follow(since);
    this.#change({ status, owner: ownerAt(status) });
    return status;
  }

  async #ended(status: string, destination: Destination): Promise<boolean> {
    await this.refresh();
    const { signal } = this.#context;
    switch (status) {
      case 'completed':
        delete this.#report.reason;
        this.#change({ phase: 'moved' });
        return false;
      case 'postcopy-paused':
        if ((await runStateAt(destination)) !== undefined) this.#change({ phase: 'paused' });
        else this.#change({ phase: 'unknown', reason: GONE });
        return false;
      case 'cancelled':
        return this.#left(signal.aborted ? INTERRUPTED : 'somebody else has cancelled it');
      default:
        await this.#takeReason();
        return signal.aborted ? this.#left(INTERRUPTED) : true;
    }
  }

  /** A command was refused, was not answered, or a process has gone: which, the source knows. */
  async #failed(error: QmpError | QmpSocketError, destination: Destination): Promise<boolean> {
    const reason = messageOf(error);
    try {
      const { status = 'none' } = await queryMigrate(this.#client);
      this.#change({ reason, status, owner: ownerAt(status) });
      if (['none', 'failed', 'cancelled'].includes(status)) return true;
      this.#change({ phase: 'unknown' }); // under way, and nobody follows it
    } catch {
      const there = await runStateAt(destination);
      const owner = there === undefined || there === 'inmigrate' ? 'unknown' : 'destination';
      this.#change({ phase: 'unknown', owner, reason });
    }
    return false;
  }

  async #takeReason(): Promise<void> {
    const { 'error-desc': reason } = await queryMigrate(this.#client);
    if (reason !== undefined) this.#change({ reason });
  }

  #left(reason: string): false {
    this.#change({ phase: 'left', owner: 'source', reason });
    return false;
  }

  #change(changes: Partial<GuestReport>): void {
    Object.assign(this.report, changes);
    this.#context.onChange(this.report);
  }
}

/** @returns nothing where nobody answers any more. */
async function runStateAt({ client }: Destination): Promise<string | undefined> {
  try {
    return (await queryStatus(client)).status;
  } catch (error) {
    if (error instanceof QmpSocketError) return undefined;
    throw error;
  }
}
