import type { KeyObject } from 'node:crypto';
import type { CrashJournal, DestinationInfo, SecurityObjects, SourceInfo } from '@godwit/core';
import type { Address } from '@godwit/transport';

export interface MigrationsOptions {
  readonly uuid: string | undefined;
  readonly vcpus: number;
  readonly incoming: boolean;
  readonly security: SecurityObjects;
  /** Signs receipts; left out, they are not signed. */
  readonly receiptKey?: KeyObject | undefined;
  /** Of the guest that comes in. */
  readonly journal?: CrashJournal | undefined;
}

/** What query-migrate answers. */
export type MigrationInfo = (SourceInfo | DestinationInfo) & {
  readonly 'blocked-reasons'?: readonly string[];
};

/** What the owner does with what happens here. */
export interface MigrationsOwner {
  tell(event: string, data: object): void;
  listening(address: Address): void;
  /** A migration has ended, well or not: there is a receipt of it. */
  ended(): void;
  quit(code: number, reason: Error | undefined): void;
}
