import type { Address } from '@godwit/transport';

import type { DestinationCommands, SourceCommands } from '../side/side-api.ts';
import type { SideProcess } from '../side/side-process.ts';
import type { MigrateBenchOptions } from './options.ts';

/** What the measurements work with. */
export interface Stage {
  readonly options: MigrateBenchOptions;
  readonly source: SideProcess<SourceCommands>;
  readonly destination: SideProcess<DestinationCommands>;
  /** Where the destination is to listen: each time a new place. */
  readonly address: () => Address;
}
