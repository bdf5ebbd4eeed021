import assert from 'node:assert/strict';
import { type QmpClient, type QmpEvent, QmpSocketError } from '@godwit/qmp';

import { type Ending, SpawnedGuest } from './spawned-guest.ts';
import { Journal, within } from './wait.ts';

/** What QMP told, in order; times are of one clock for all processes of a machine. */
export interface SideEvent {
  readonly name: string;
  readonly micros: number;
  /** Of MIGRATION. */
  readonly status?: string;
}

export interface RunStatus {
  readonly status: string;
  readonly running: boolean;
}

export interface SideOptions {
  readonly name: string;
  readonly godwit: string;
  readonly directory: string;
  /** Further arguments of `godwit guest`. */
  readonly args: readonly string[];
  readonly signal: AbortSignal;
}

/** A guest process as its operator sees it, from outside: QMP, events, signals. */
export class Side implements AsyncDisposable {
  readonly name: string;
  readonly pid: number;
  /** All that came since the connection stood: a wait that begins late still finds it. */
  readonly events = new Journal<SideEvent>();
  /** Whether the guest ran when the first event could be seen. */
  readonly ranAtFirst: boolean;
  readonly #process: SpawnedGuest;
  readonly #exited: Promise<void>;
  #cursor = 0;
  #endedMicros: number | undefined;
  #isStopped = false;
  #isKilled = false;

  /** Resolves when QMP answers and events come. @throws {Error} what it said when it ended before. */
  static async start(options: SideOptions): Promise<Side> {
    const { name, godwit, directory, args, signal } = options;
    const qmp = `unix:${directory}/${name}.qmp`;
    const process = await SpawnedGuest.start({ name, godwit, qmp, args, signal, oob: true });
    try {
      const capabilities = [{ capability: 'events', state: true }];
      await process.client.execute('migrate-set-capabilities', { capabilities });
      const { running } = await process.client.execute<RunStatus>('query-status');
      return new Side(name, process, running);
    } catch (error) {
      await process[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(name: string, process: SpawnedGuest, ranAtFirst: boolean) {
    this.name = name;
    this.pid = process.pid;
    this.ranAtFirst = ranAtFirst;
    this.#process = process;
    process.client.on('event', (event) => this.events.add(sideEvent(event)));
    this.#exited = this.#end(process);
  }

  /** For commands. */
  get qmp(): QmpClient {
    return this.#process.client;
  }

  get ending(): Ending | undefined {
    return this.#process.ending;
  }

  /** When it ended, or was told to at once; on the clock of the events. */
  get endedMicros(): number | undefined {
    return this.#endedMicros;
  }

  get isAlive(): boolean {
    return this.#endedMicros === undefined;
  }

  /** By us: whatever it had is lost with it. */
  get isKilled(): boolean {
    return this.#isKilled;
  }

  /** SIGSTOP holds it. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** The statuses of all MIGRATION events, in order. */
  get statuses(): string[] {
    return this.events.entries.flatMap(({ status }) => (status === undefined ? [] : [status]));
  }

  async execute<T = unknown>(command: string, args?: Record<string, unknown>): Promise<T> {
    return await this.qmp.execute<T>(command, args);
  }

  async setCapabilities(changes: Readonly<Record<string, boolean>>): Promise<void> {
    const capabilities = Object.entries(changes).map(([capability, state]) => {
      return { capability, state };
    });
    await this.execute('migrate-set-capabilities', { capabilities });
  }

  async setParameters(parameters: Readonly<Record<string, number | string>>): Promise<void> {
    if (Object.keys(parameters).length > 0) {
      await this.execute('migrate-set-parameters', { ...parameters });
    }
  }

  async runStatus(): Promise<RunStatus> {
    return await this.execute<RunStatus>('query-status');
  }

  /** Of a process that may be about to end: whoever has ended runs nothing. */
  async runsGuest(): Promise<boolean> {
    if (!this.isAlive) return false;
    try {
      return (await this.runStatus()).running;
    } catch (error) {
      if (error instanceof QmpSocketError && error.code !== 'ERR_TIMEOUT') return false;
      throw error;
    }
  }

  /**
   * The next MIGRATION event with one of these, after the last one that was waited for.
   *
   * @returns its status, or `gone` when the process has ended instead.
   * @throws {Error} neither came in time.
   */
  async nextOf(statuses: readonly string[], limitMillis: number): Promise<string> {
    try {
      const isMeant = ({ status }: SideEvent): boolean => statuses.includes(status ?? '');
      const what = `${statuses.join(' or ')} of the ${this.name}`;
      const options = { since: this.#cursor, what, limitMillis };
      this.#cursor = (await this.events.find(isMeant, options)) + 1;
      return this.events.entries[this.#cursor - 1]?.status ?? '';
    } catch (error) {
      if (this.isAlive) throw error;
      return 'gone';
    }
  }

  /** The latest status told is one of these, now or soon. @returns and @throws as `nextOf`. */
  async until(statuses: readonly string[], limitMillis: number): Promise<string> {
    const last = this.events.entries.findLastIndex(({ status }) => status !== undefined);
    this.#cursor = Math.max(last, 0);
    return await this.nextOf(statuses, limitMillis);
  }

  /** The next RESUME or STOP from an event on. */
  async next(name: string, since: number, limitMillis: number): Promise<void> {
    const what = `${name} of the ${this.name}`;
    await this.events.find((event) => event.name === name, { since, what, limitMillis });
  }

  /** It runs nothing any more from here on, whatever else. */
  kill(): void {
    this.#isKilled = true;
    this.#process.send('SIGKILL');
    this.#endedMicros = Date.now() * 1000;
  }

  /** SIGSTOP. */
  hold(): void {
    this.#isStopped = true;
    this.#process.send('SIGSTOP');
  }

  /** SIGCONT. */
  letGo(): void {
    this.#isStopped = false;
    this.#process.send('SIGCONT');
  }

  async ended(limitMillis: number): Promise<Ending> {
    await within(this.#exited, `the end of the ${this.name}`, limitMillis);
    assert(this.ending !== undefined);
    return this.ending;
  }

  /** Tells it to end, as a user would. @returns how it did. */
  async quit(limitMillis: number): Promise<Ending> {
    await this.execute('quit').catch((error: unknown) => {
      if (!(error instanceof QmpSocketError)) throw error; // it may be gone before it has answered
    });
    return await this.ended(limitMillis);
  }

  async #end(process: SpawnedGuest): Promise<void> {
    const how = await process.ended;
    this.#endedMicros ??= Date.now() * 1000;
    this.events.end(how);
  }

  /** For a log. */
  describe(): Record<string, unknown> {
    const { name, pid, ending = 'alive', ranAtFirst } = this;
    const { stderr } = this.#process;
    return { name, pid, ending, ranAtFirst, stderr, events: this.events.entries };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.letGo(); // a stopped process cannot end in order
    if (this.ending === undefined) this.kill();
    await this.#process[Symbol.asyncDispose]();
  }
}

function sideEvent({ event, timestamp, data = {} }: QmpEvent): SideEvent {
  const micros = timestamp.seconds * 1_000_000 + timestamp.microseconds;
  const { status } = data;
  return {
    name: event,
    micros,
    ...(event === 'MIGRATION' && typeof status === 'string' ? { status } : {}),
  };
}
