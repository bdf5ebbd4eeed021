import { type QmpClient, QmpError, QmpSocketError } from '@godwit/qmp';

const limits = ['max-bandwidth', 'max-postcopy-bandwidth'] as const;
type Limits = Record<(typeof limits)[number], number>;

/**
 * Bytes per second that all running migrations share evenly, set in each anew whenever one begins or
 * ends. Those that run give way before another begins, so that the sum never exceeds the budget; only
 * pages that a guest waits for, and the last ones of a stopped guest, are exempt, as in each migration.
 */
export class BandwidthBudget {
  readonly #total: number | undefined;
  /** Who runs, and what it was limited to before. */
  readonly #members = new Map<QmpClient, Limits>();
  #turn: Promise<unknown> = Promise.resolve();

  /** @param total undefined: each migration keeps the limits of its own; 0: none has any. */
  constructor(total: number | undefined) {
    this.#total = total;
  }

  /** Before a migration begins. @returns what ends its share, and gives it its own limits back. */
  async join(client: QmpClient): Promise<AsyncDisposable> {
    if (this.#total === undefined) return { [Symbol.asyncDispose]: async () => undefined };
    try {
      await this.#inTurn(async () => {
        this.#members.set(client, await client.execute<Limits>('query-migrate-parameters'));
        const others = [...this.#members.keys()].filter((member) => member !== client);
        for (const member of [...others, client]) await this.#limit(member);
      });
    } catch (error) {
      await this.#leave(client);
      throw error;
    }
    return { [Symbol.asyncDispose]: async () => await this.#leave(client) };
  }

  /** At once, for who stops looking after them: each has its own limits back, and no share is set any more. */
  async dissolve(): Promise<void> {
    const members = [...this.#members];
    this.#members.clear();
    await Promise.all(members.map(async ([client, before]) => await set(client, before)));
  }

  get share(): number | undefined {
    if (this.#total === undefined) return undefined;
    if (this.#total === 0) return 0;
    return Math.max(1, Math.floor(this.#total / Math.max(1, this.#members.size)));
  }

  async #leave(client: QmpClient): Promise<void> {
    await this.#inTurn(async () => {
      const before = this.#members.get(client);
      this.#members.delete(client);
      if (before !== undefined) await set(client, before);
      for (const member of this.#members.keys()) await this.#limit(member);
    });
  }

  async #limit(client: QmpClient): Promise<void> {
    const share = this.share ?? 0;
    await set(client, { 'max-bandwidth': share, 'max-postcopy-bandwidth': share });
  }

  async #inTurn(step: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(step);
    this.#turn = turn.catch(() => undefined);
    await turn;
  }
}

/** A process that has gone sends nothing: whoever follows it finds out. */
async function set(client: QmpClient, values: Limits): Promise<void> {
  const args = Object.fromEntries(limits.map((name) => [name, values[name]]));
  try {
    await client.execute('migrate-set-parameters', args);
  } catch (error) {
    if (error instanceof QmpError || !(error instanceof QmpSocketError)) throw error;
  }
}
