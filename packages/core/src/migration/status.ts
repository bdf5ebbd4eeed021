import assert from 'node:assert/strict';

/** Every legal step of the source; the words are QEMU's (qapi/migration.json, MigrationStatus). */
export const sourceTransitions = {
  none: ['setup'],
  setup: ['active', 'cancelling', 'failed'],
  active: ['pre-switchover', 'device', 'cancelling', 'failed'],
  // Guest stopped, device state not saved; as long as an operator likes (pause-before-switchover).
  'pre-switchover': ['device', 'cancelling', 'failed'],
  // Guest stopped. To postcopy-paused once the order to run has left and stays unanswered.
  device: ['postcopy-device', 'completed', 'postcopy-paused', 'cancelling', 'failed'],
  'postcopy-device': ['postcopy-active', 'postcopy-paused', 'cancelling', 'failed'],
  'postcopy-active': ['completed', 'postcopy-paused'], // no way back: half the guest has left
  'postcopy-paused': ['postcopy-recover-setup'],
  'postcopy-recover-setup': ['postcopy-recover', 'postcopy-paused'],
  'postcopy-recover': ['postcopy-active', 'completed', 'postcopy-paused'],
  cancelling: ['cancelled'],
  cancelled: [],
  completed: [],
  failed: [],
} as const satisfies Record<string, readonly string[]>;

/** Every legal step of the destination; it has no recover-setup: a new connection is its start. */
export const destinationTransitions = {
  none: ['setup'],
  // To postcopy-paused where another process has begun, and left a journal.
  setup: ['active', 'postcopy-paused', 'failed'],
  // To postcopy-paused when the link ends after "loaded" and before the order to run.
  active: ['postcopy-active', 'completed', 'postcopy-paused', 'failed'],
  'postcopy-active': ['completed', 'postcopy-paused', 'failed'],
  'postcopy-paused': ['postcopy-recover'],
  'postcopy-recover': ['postcopy-active', 'completed', 'postcopy-paused'],
  completed: [],
  failed: [],
} as const satisfies Record<string, readonly string[]>;

export type SourceStatus = keyof typeof sourceTransitions;
export type DestinationStatus = keyof typeof destinationTransitions;
export type MigrationStatus = SourceStatus | DestinationStatus;

type Table = Readonly<Record<string, readonly string[]>>;

/** Where a migration stands. Every change is one step of the table and is told exactly once. */
export class StatusMachine<T extends Table> {
  readonly #table: T;
  readonly #tell: (status: keyof T & string) => void;
  #status: keyof T & string;

  constructor(table: T, initial: keyof T & string, tell: (status: keyof T & string) => void) {
    this.#table = table;
    this.#status = initial;
    this.#tell = tell;
  }

  get status(): keyof T & string {
    return this.#status;
  }

  /** A step missing from the table does not compile; a stale `from` is our mistake and throws. */
  move<From extends keyof T & string>(from: From, to: T[From][number] & keyof T & string): void {
    assert.equal(this.#status, from);
    assert(this.#table[from]?.includes(to));
    this.#status = to;
    this.#tell(to);
  }

  /** A step to take from wherever we stand; one missing from the table is our mistake and throws. */
  leaveFor(to: T[keyof T][number] & keyof T & string): void {
    assert(this.can(to), `no step from ${this.#status} to ${to}`);
    this.#status = to;
    this.#tell(to);
  }

  is(...statuses: (keyof T & string)[]): boolean {
    return statuses.includes(this.#status);
  }

  /** Is this step in the table, from where we stand? */
  can(to: keyof T & string): boolean {
    return this.#table[this.#status]?.includes(to) ?? false;
  }
}

/** "Is it paused?" for whoever waits for recovery: both states wait for a new link. */
export function isPaused(status: MigrationStatus): boolean {
  return status === 'postcopy-paused' || status === 'postcopy-recover-setup';
}

const runningStatuses: ReadonlySet<MigrationStatus> = new Set([
  'setup',
  'active',
  'pre-switchover',
  'device',
  'postcopy-device',
  'postcopy-active',
  'postcopy-paused',
  'postcopy-recover-setup',
  'postcopy-recover',
  'cancelling',
]);

/** QEMU's migration_is_running: blocks a further migrate and changes of capabilities. */
export function isRunning(status: MigrationStatus): boolean {
  return runningStatuses.has(status);
}

/** In postcopy the guest is the destination's or may be: it cannot be cancelled. */
export function isInPostcopy(status: MigrationStatus): boolean {
  return status === 'postcopy-active' || status === 'postcopy-recover' || isPaused(status);
}
