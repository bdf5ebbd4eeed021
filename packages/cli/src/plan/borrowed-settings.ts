import type { QmpClient } from '@godwit/qmp';

type Settings = Readonly<Record<string, number | boolean>>;

/** Parameters and capabilities of a process, changed for one migration and put back after it. */
export class BorrowedSettings {
  readonly #client: QmpClient;
  readonly #parameters: Settings;
  readonly #capabilities: Settings;

  /** Sets what is given. */
  static async take(
    client: QmpClient,
    parameters: Settings,
    capabilities: Settings,
  ): Promise<BorrowedSettings> {
    const before = await client.execute<Settings>('query-migrate-parameters');
    const told = await client.execute<readonly { capability: string; state: boolean }[]>(
      'query-migrate-capabilities',
    );
    const states = Object.fromEntries(told.map(({ capability, state }) => [capability, state]));
    const borrowed = new BorrowedSettings(
      client,
      changesBack(before, parameters),
      changesBack(states, capabilities),
    );
    await set(client, parameters, capabilities);
    return borrowed;
  }

  private constructor(client: QmpClient, parameters: Settings, capabilities: Settings) {
    this.#client = client;
    this.#parameters = parameters;
    this.#capabilities = capabilities;
  }

  /** Only once the migration is over: capabilities stand fast until then, and a recovery goes by the limits. */
  async giveBack(): Promise<void> {
    await set(this.#client, this.#parameters, this.#capabilities);
  }

  /** What is not as it was, for who has to put it back by hand. */
  describe(): string {
    const names = [...Object.keys(this.#parameters), ...Object.keys(this.#capabilities)];
    return names.join(', ');
  }
}

/** What they were, of those that change. */
function changesBack(before: Settings, changes: Settings): Settings {
  const entries = Object.entries(changes).filter(([name, value]) => before[name] !== value);
  return Object.fromEntries(entries.map(([name]) => [name, before[name] as number | boolean]));
}

async function set(client: QmpClient, parameters: Settings, states: Settings): Promise<void> {
  if (Object.keys(parameters).length > 0) {
    await client.execute('migrate-set-parameters', { ...parameters });
  }
  const capabilities = Object.entries(states).map(([capability, state]) => ({
    capability,
    state: state === true,
  }));
  if (capabilities.length > 0) await client.execute('migrate-set-capabilities', { capabilities });
}
