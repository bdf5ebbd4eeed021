import type { DestinationInfo, SocketAddress, SourceInfo } from '@godwit/core';
import type { ExecuteOptions, QmpClient } from '@godwit/qmp';
import { formatAddress } from '@godwit/transport';

/**
 * What query-migrate answers, on whichever side; every member may be missing. A status may be one
 * of QEMU's that we do not have.
 */
export interface MigrateInfo extends Omit<SourceInfo, 'status'>, Omit<DestinationInfo, 'status'> {
  readonly status?: string;
}

/** What query-status answers. */
export interface RunInfo {
  /** The run state: `running`, `paused`, `inmigrate`, `finish-migrate`, `postmigrate`, … */
  readonly status: string;
  readonly running: boolean;
}

export async function queryMigrate(
  client: QmpClient,
  options?: ExecuteOptions,
): Promise<MigrateInfo> {
  return await client.execute<MigrateInfo>('query-migrate', undefined, options);
}

export async function queryStatus(client: QmpClient, options?: ExecuteOptions): Promise<RunInfo> {
  return await client.execute<RunInfo>('query-status', undefined, options);
}

/** Only a source that has begun to send says `ram`. */
export function isSource(info: MigrateInfo): boolean {
  return info.ram !== undefined;
}

/** Where a destination listens, as `migrate` takes it. */
export function uriOf(address: SocketAddress): string {
  if (address.type === 'unix') return formatAddress(address);
  return formatAddress({ type: 'tcp', host: address.host, port: Number(address.port) });
}
