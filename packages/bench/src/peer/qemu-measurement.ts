import type { MigrateBenchOptions } from '../migrate/options.ts';
import type { QemuProcess } from './qemu-process.ts';
import type { PeerVariant } from './variants.ts';

/** What one measurement works with. */
export interface QemuMeasurement {
  readonly options: MigrateBenchOptions;
  readonly variant: PeerVariant;
  /** Stopped, with a guest that has filled its memory. */
  readonly source: QemuProcess;
  /** Waits to be told where to listen. */
  readonly destination: QemuProcess;
  readonly directory: string;
  /** Of no other measurement. */
  readonly socketName: string;
  readonly ticksPerMicro: number;
}

/** What `query-migrate` knows of a migration. */
export interface MigrateInfo {
  readonly status?: string;
  readonly ram?: {
    readonly remaining?: number;
    readonly 'dirty-sync-count'?: number;
    readonly 'postcopy-requests'?: number;
  };
  readonly 'error-desc'?: string;
  readonly 'socket-address'?: readonly { readonly type: string; readonly port?: string }[];
}
