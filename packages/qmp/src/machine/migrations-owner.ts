import type { DestinationInfo, SecurityObjects, SourceInfo } from '@godwit/core';
import type { Address } from '@godwit/transport';

export interface MigrationsOptions {
  readonly uuid: string | undefined;
  readonly vcpus: number;
  readonly incoming: boolean;
  readonly security: SecurityObjects;
}

/** What query-migrate answers. */
export type MigrationInfo = (SourceInfo | DestinationInfo) & {
  readonly 'blocked-reasons'?: readonly string[];
};

/** What the owner does with what happens here. */
export interface MigrationsOwner {
  tell(event: string, data: object): void;
  listening(address: Address): void;
  quit(code: number, reason: Error | undefined): void;
}
