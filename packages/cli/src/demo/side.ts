import type { SpawnedGuest } from '@godwit/chaos';
import type { QmpEvent } from '@godwit/qmp';

import { type MigrateInfo, queryMigrate, queryStatus } from '../migrate-info.ts';
import type { FaultState, SideName, SideState } from './demo-state.ts';

/** One of the two processes, as its QMP shows it. */
export class Side {
  readonly process: SpawnedGuest<SideName>;
  /** As the last answer of query-migrate has it; its status may be older than `status`. */
  info: MigrateInfo = {};
  #status = 'none';
  #runState = 'unknown';
  #hasStopped = false;
  #resumeCount = 0;
  readonly #enteredMillis = new Map<string, number>();

  constructor(process: SpawnedGuest<SideName>) {
    this.process = process;
  }

  /** By the last event: MigrationStatus. */
  get status(): string {
    return this.#status;
  }

  /** How often the guest was set running here after it had been stopped. */
  get resumeCount(): number {
    return this.#resumeCount;
  }

  /** By the last answer of query-status. */
  get runState(): string {
    return this.#runState;
  }

  get state(): SideState {
    return { pid: this.process.pid, status: this.#status, runState: this.#runState };
  }

  /** Remote page faults. */
  get faults(): FaultState {
    const faults = this.info['x-faults'];
    return {
      served: faults?.served ?? 0,
      p50Millis: (faults?.['latency-p50-us'] ?? 0) / 1000,
      p99Millis: (faults?.['latency-p99-us'] ?? 0) / 1000,
    };
  }

  /** When `status` was last entered, on the clock of `performance.now`; 0 if it never was. */
  enteredMillis(status: string): number {
    return this.#enteredMillis.get(status) ?? 0;
  }

  /** @returns what is to be told of it, if anything. */
  take({ event, data }: QmpEvent): string | undefined {
    switch (event) {
      case 'MIGRATION':
        this.#status = String(data?.['status']);
        this.#enteredMillis.set(this.#status, performance.now());
        return this.#status;
      case 'STOP':
        this.#hasStopped = true;
        return 'guest stopped';
      case 'RESUME':
        if (this.#hasStopped) this.#resumeCount += 1;
        return 'guest runs';
      default:
        return undefined;
    }
  }

  /** Asks the process how it stands. @throws {QmpSocketError} it has gone; or the signal's reason. */
  async ask(signal: AbortSignal): Promise<void> {
    const { client } = this.process;
    const options = { signal };
    const answers = [queryStatus(client, options), queryMigrate(client, options)] as const;
    const [run, info] = await Promise.all(answers);
    this.#runState = run.status;
    this.info = info;
  }

  /** Where it stands, in a sentence. */
  describe(): string {
    const reason = this.info['error-desc'];
    const why = reason === undefined ? '' : ` (${reason})`;
    return `the ${this.process.name} is in ${this.#status}, its guest ${this.#runState}${why}`;
  }
}
