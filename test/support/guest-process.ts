import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, watch } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { QmpClient, type QmpEvent, QmpSocketError } from '@godwit/qmp';
import { guestArguments, type GuestOptions } from './guest-options.ts';
import { processResources, type ProcessResources, resourcesReturnTo } from './process-resources.ts';
import { Journal, within } from './wait.ts';

/** What QMP told, in order; times are of one clock for all processes of a machine. */
export interface GuestEvent {
  readonly name: string;
  readonly micros: number;
  /** Of MIGRATION. */
  readonly status?: string;
  /** Of MIGRATION_PASS. */
  readonly pass?: number;
  /** Of the events that are ours alone: `X_…`. */
  readonly data?: Readonly<Record<string, unknown>>;
}

export interface ExitStatus {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface RunStatus {
  readonly status: string;
  readonly running: boolean;
}

const GODWIT = fileURLToPath(new URL('../../packages/cli/bin/godwit.js', import.meta.url));
const START_LIMIT_MILLIS = 20_000;
const EXIT_LIMIT_MILLIS = 10_000;

/** A `godwit guest` in a process of its own, as its operator sees it: QMP, events, /proc. */
export class GuestProcess implements AsyncDisposable {
  readonly name: string;
  readonly pid: number;
  readonly qmp: QmpClient;
  /** All that came since the connection stood; a wait that begins late still finds it. */
  readonly events = new Journal<GuestEvent>();
  readonly exited: Promise<ExitStatus>;
  /** Whether the guest ran when the first event could be seen. */
  readonly ranAtFirst: boolean;
  readonly isDestination: boolean;
  readonly #child: ChildProcess;
  readonly #socketPath: string;
  readonly #output: string[];
  /** For each kind of event, the position after the last one waited for. */
  readonly #cursors = new Map<string, number>();
  #exit: ExitStatus | undefined;
  #endedMicros: number | undefined;

  /** Resolves when QMP answers. @throws with its stderr, when it ended before. */
  static async start(options: GuestOptions): Promise<GuestProcess> {
    const socketPath = options.directory.file(`${options.name}.qmp`);
    const appeared = new AbortController();
    const watcher = watch(options.directory.path, { signal: appeared.signal });
    const child = spawn(
      process.execPath,
      [GODWIT, 'guest', ...guestArguments(options, socketPath)],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    const output: string[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => output.push(text));
    }
    const what = `QMP of ${options.name}`;
    try {
      const there = new Promise<void>((resolve, reject) => {
        const look = (): void => (existsSync(socketPath) ? resolve() : undefined);
        watcher.on('change', look);
        child.once('error', reject);
        child.once('close', (code) => {
          reject(new Error(`${options.name} ended with ${code}: ${output.join('')}`));
        });
        look();
      });
      await within(there, what, START_LIMIT_MILLIS, () => `: ${output.join('')}`);
      const qmp = await QmpClient.connect(`unix:${socketPath}`, { oob: true });
      const events = [{ capability: 'events', state: true }];
      await qmp.execute('migrate-set-capabilities', { capabilities: events });
      const { running } = await qmp.execute<RunStatus>('query-status');
      return new GuestProcess(options, child, qmp, { socketPath, output, running });
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    } finally {
      appeared.abort();
    }
  }

  private constructor(
    { name, incoming }: GuestOptions,
    child: ChildProcess,
    qmp: QmpClient,
    about: { socketPath: string; output: string[]; running: boolean },
  ) {
    assert(child.pid !== undefined);
    this.name = name;
    this.pid = child.pid;
    this.qmp = qmp;
    this.ranAtFirst = about.running;
    this.isDestination = incoming !== undefined;
    this.#child = child;
    this.#socketPath = about.socketPath;
    this.#output = about.output;
    const kill = (): boolean => child.kill('SIGKILL');
    process.on('exit', kill);
    this.exited = once(child, 'close').then(([code, signal]) => {
      process.removeListener('exit', kill);
      this.#endedMicros ??= Date.now() * 1000;
      this.#exit = { code: code as number | null, signal: signal as NodeJS.Signals | null };
      this.events.end(new Error(`${name} has ended: ${JSON.stringify(this.#exit)}`));
      return this.#exit;
    });
    qmp.on('event', (event) => this.events.add(guestEvent(event)));
  }

  /** Where it answers QMP, for another client. */
  get qmpAddress(): string {
    return `unix:${this.#socketPath}`;
  }

  /** What it has written to stdout and stderr. */
  get output(): string {
    return this.#output.join('');
  }

  get exit(): ExitStatus | undefined {
    return this.#exit;
  }

  /** When it ended, or was told to at once; on the clock of the events. */
  get endedMicros(): number | undefined {
    return this.#endedMicros;
  }

  /** The statuses of all MIGRATION events, in order. */
  get statuses(): string[] {
    return this.events.entries.flatMap(({ status }) => (status === undefined ? [] : [status]));
  }

  async execute<T = unknown>(command: string, args?: Record<string, unknown>): Promise<T> {
    return await this.qmp.execute<T>(command, args);
  }

  /** For commands that may overtake: migrate-pause, migrate-recover. */
  async executeOob<T = unknown>(command: string, args?: Record<string, unknown>): Promise<T> {
    return await this.qmp.execute<T>(command, args, { oob: true });
  }

  /** The next MIGRATION event with this status, after the last one that was waited for. */
  async waitForStatus(status: string, limitMillis?: number): Promise<void> {
    await this.#waitFor('MIGRATION', (event) => event.status === status, status, limitMillis);
  }

  /** The next MIGRATION event with one of these, after the last one that was waited for. */
  async waitForOneOf(statuses: readonly string[], limitMillis?: number): Promise<string> {
    const isMeant = ({ status }: GuestEvent): boolean => statuses.includes(status ?? '');
    await this.#waitFor('MIGRATION', isMeant, statuses.join(' or '), limitMillis);
    const last = (this.#cursors.get('MIGRATION') ?? 0) - 1;
    return this.events.entries[last]?.status ?? '';
  }

  /** The latest status that was told is this one, now or soon. */
  async untilStatusIs(status: string, limitMillis?: number): Promise<void> {
    const { entries } = this.events;
    const last = entries.findLastIndex((event) => event.status !== undefined);
    this.#cursors.set('MIGRATION', Math.max(last, 0));
    await this.waitForStatus(status, limitMillis);
  }

  /** The next such event, after the last one of its kind that was waited for. */
  async waitForEvent(name: string, limitMillis?: number): Promise<void> {
    await this.#waitFor(name, () => true, name, limitMillis);
  }

  async waitForPass(pass: number, limitMillis?: number): Promise<void> {
    const isMeant = (event: GuestEvent): boolean => (event.pass ?? 0) >= pass;
    await this.#waitFor('MIGRATION_PASS', isMeant, `pass ${pass}`, limitMillis);
  }

  /** Why the migration stands where it stands. */
  async errorDescription(): Promise<string | undefined> {
    const info = await this.execute<{ 'error-desc'?: string }>('query-migrate');
    return info['error-desc'];
  }

  async runStatus(): Promise<RunStatus> {
    return await this.execute<RunStatus>('query-status');
  }

  /** Of a process that may be about to end: whoever has ended runs nothing. */
  async isRunningGuest(): Promise<boolean> {
    if (this.#exit !== undefined) return false;
    try {
      return (await this.runStatus()).running;
    } catch (error) {
      if (!(error instanceof QmpSocketError)) throw error;
      await within(this.exited, `the end of ${this.name}, which has left QMP,`, EXIT_LIMIT_MILLIS);
      return false;
    }
  }

  async setCapabilities(changes: Record<string, boolean>): Promise<void> {
    const capabilities = Object.entries(changes).map(([capability, state]) => {
      return { capability, state };
    });
    await this.execute('migrate-set-capabilities', { capabilities });
  }

  async setParameters(parameters: Record<string, number | string>): Promise<void> {
    await this.execute('migrate-set-parameters', parameters);
  }

  async resources(): Promise<ProcessResources> {
    return await processResources(this.pid);
  }

  /** Everything beyond `before` is given back, some slack apart. */
  async returnsTo(before: ProcessResources, threadsEnded = 0): Promise<void> {
    await resourcesReturnTo(this.pid, before, threadsEnded);
  }

  /** It runs nothing any more from here on, whatever else. */
  kill(): void {
    this.#child.kill('SIGKILL');
    this.#endedMicros = Date.now() * 1000;
  }

  /**
   * Ends it as a user would.
   *
   * @throws unless it ends with 0 and takes its socket file along; 1 where an incoming migration has
   *   failed at the same time, which ends the process by itself.
   */
  async quit(): Promise<void> {
    await this.execute('quit').catch((error: unknown) => {
      if (!(error instanceof QmpSocketError)) throw error; // it may be gone before it has answered
    });
    const exit = await within(this.exited, `the end of ${this.name}`, EXIT_LIMIT_MILLIS);
    const isDiscarded = this.isDestination && this.statuses.at(-1) === 'failed';
    const codes = isDiscarded ? [0, 1] : [0];
    const isOrderly = exit.signal === null && codes.includes(exit.code ?? -1);
    assert(isOrderly, `${this.name} ended with ${JSON.stringify(exit)}: ${this.output}`);
    assert(!existsSync(this.#socketPath), `${this.name} left ${this.#socketPath} behind`);
  }

  /** For a failed test: what it did, and what it had to say. */
  describe(): string {
    const events = this.events.entries.map(({ name, status, pass }) => status ?? pass ?? name);
    const exit = this.#exit === undefined ? 'alive' : JSON.stringify(this.#exit);
    return `${this.name} (${exit}): ${events.join(' ')}\n${this.output}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#exit === undefined) this.kill();
    await this.exited;
    await this.qmp.close();
  }

  async #waitFor(
    name: string,
    isMeant: (event: GuestEvent) => boolean,
    what: string,
    limitMillis: number | undefined,
  ): Promise<void> {
    const position = await this.events.find((event) => event.name === name && isMeant(event), {
      since: this.#cursors.get(name) ?? 0,
      what: `${what} of ${this.name}`,
      limitMillis,
    });
    this.#cursors.set(name, position + 1);
  }
}

function guestEvent({ event, timestamp, data = {} }: QmpEvent): GuestEvent {
  const micros = timestamp.seconds * 1_000_000 + timestamp.microseconds;
  const { status, pass } = data;
  return {
    name: event,
    micros,
    ...(event === 'MIGRATION' && typeof status === 'string' ? { status } : {}),
    ...(event === 'MIGRATION_PASS' && typeof pass === 'number' ? { pass } : {}),
    ...(event.startsWith('X_') ? { data } : {}),
  };
}
