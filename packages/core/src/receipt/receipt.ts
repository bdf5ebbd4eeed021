import type { MigrationErrorCode } from '../errors.ts';
import type { RamBlock } from '../memory/ram-block.ts';
import type { DestinationInfo } from '../migration/destination-info.ts';
import type { SourceInfo } from '../migration/source-info.ts';
import type { Parameters } from '../parameters.ts';

export const RECEIPT_VERSION = 1;

/**
 * What one side says of a migration that has ended; JSON. Times are of the calendar, ISO 8601 in UTC; all
 * else has the units of query-migrate.
 */
export interface Receipt {
  readonly version: typeof RECEIPT_VERSION;
  readonly side: 'source' | 'destination';
  /** The same on both sides, in hex; absent where no session came about. */
  readonly migration?: string;
  /** Of the guest. */
  readonly uuid?: string;
  /** In order: where the source dialled, where the destination listened. */
  readonly addresses: readonly string[];
  /** Those that were on; of the destination: as agreed with the source. */
  readonly capabilities: readonly string[];
  /** As they were at the end. */
  readonly parameters: Parameters;
  readonly began: string;
  readonly ended: string;
  readonly phases: readonly { readonly status: string; readonly at: string }[];
  /** Each led to postcopy-paused. */
  readonly 'lost-links': readonly { readonly at: string; readonly reason: string }[];
  readonly outcome: 'completed' | 'failed' | 'cancelled';
  /** Whose the guest is from here on. */
  readonly owner: 'source' | 'destination';
  readonly error?: { readonly code: MigrationErrorCode | 'ERR_UNKNOWN'; readonly message: string };
  /** Of the received bitmaps (docs/PROTOCOL.md, section 4), hex; the source has compared it. */
  readonly digest?: string;
  /** With `x-ram-digest`: of each block, hex; the source has compared them. */
  readonly 'ram-digests'?: readonly { readonly block: string; readonly digest: string }[];
  /** What query-migrate says at the end: bytes, downtime and its parts, faults, damage. */
  readonly migrate: SourceInfo | DestinationInfo;
}

/** What a migration itself knows at its end. */
export interface ReceiptFacts {
  readonly migrationId: Uint8Array | undefined;
  readonly uuid: string | undefined;
  readonly capabilities: readonly string[];
  readonly error: Error | undefined;
  readonly digest: string | undefined;
  readonly blocks: readonly RamBlock[];
  readonly ramDigests: readonly Uint8Array[] | undefined;
  readonly migrate: SourceInfo | DestinationInfo;
}
