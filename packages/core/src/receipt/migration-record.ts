import type { MigrationErrorCode } from '../errors.ts';
import type { Parameters } from '../parameters.ts';
import { MigrationError } from '../errors.ts';
import { type Receipt, RECEIPT_VERSION, type ReceiptFacts } from './receipt.ts';

/** What a receipt tells of one migration, as it happens; the clock is that of the calendar. */
export class MigrationRecord {
  readonly #side: Receipt['side'];
  readonly #phases: { status: string; at: string }[] = [];
  readonly #lostLinks: { at: string; reason: string }[] = [];
  readonly #addresses: string[] = [];
  readonly #parameters: () => Parameters;
  #end: Pick<Receipt, 'ended' | 'parameters'> | undefined;

  /** @param parameters as they are: they may change after the end. */
  constructor(side: Receipt['side'], parameters: () => Parameters) {
    this.#side = side;
    this.#parameters = parameters;
  }

  /** The source dials it; the destination listens on it. */
  address(address: string): void {
    this.#addresses.push(address);
  }

  /** @param error why the status is what it is, where it is a failure. */
  entered(status: string, error: Error | undefined): void {
    const at = now();
    this.#phases.push({ status, at });
    if (status === 'postcopy-paused') this.#lostLinks.push({ at, reason: error?.message ?? '' });
    if (isOutcome(status)) this.#end = { ended: at, parameters: this.#parameters() };
  }

  /** @returns nothing while the migration has not ended. */
  receipt(facts: ReceiptFacts): Receipt | undefined {
    const outcome = this.#phases.at(-1)?.status ?? '';
    if (!isOutcome(outcome) || this.#end === undefined) return undefined;
    const { ended, parameters } = this.#end;
    const { migrationId, uuid, error, capabilities, migrate } = facts;
    return {
      version: RECEIPT_VERSION,
      side: this.#side,
      ...(migrationId === undefined ? {} : { migration: Buffer.from(migrationId).toString('hex') }),
      ...(uuid === undefined ? {} : { uuid }),
      addresses: [...this.#addresses],
      capabilities: [...capabilities],
      parameters,
      began: this.#phases[0]?.at ?? ended,
      ended,
      phases: [...this.#phases],
      'lost-links': [...this.#lostLinks],
      outcome,
      owner: outcome === 'completed' ? 'destination' : 'source',
      ...(error === undefined ? {} : { error: { code: codeOf(error), message: error.message } }),
      ...(facts.digest === undefined ? {} : { digest: facts.digest }),
      ...ramDigests(facts),
      migrate,
    };
  }
}

function isOutcome(status: string): status is Receipt['outcome'] {
  return status === 'completed' || status === 'failed' || status === 'cancelled';
}

function ramDigests({ blocks, ramDigests: digests }: ReceiptFacts): Partial<Receipt> {
  if (digests === undefined) return {};
  const hex = (i: number): string => Buffer.from(digests[i] ?? []).toString('hex');
  return { 'ram-digests': blocks.map(({ id }, i) => ({ block: id, digest: hex(i) })) };
}

function codeOf(error: Error): MigrationErrorCode | 'ERR_UNKNOWN' {
  return error instanceof MigrationError ? error.code : 'ERR_UNKNOWN';
}

function now(): string {
  return new Date().toISOString();
}
