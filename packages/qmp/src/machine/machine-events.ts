import type { EventTable } from '../command-table.ts';
import { migrationStatusSpec } from './migration-info.ts';

/** All that a machine tells of, and what with. */
export const machineEvents = {
  STOP: {},
  RESUME: {},
  MIGRATION: { status: migrationStatusSpec },
  MIGRATION_PASS: { pass: { type: 'int' } },
  /** Ours: passes have stopped shrinking, and postcopy begins by itself. */
  X_MIGRATION_STALL: { remaining: { type: 'int' } },
  /** Ours: after postcopy the guest's memory is not what was sent. */
  X_MIGRATION_RAM_DIFFERS: { reason: { type: 'str' } },
  /** Ours: what unattended recovery does next. */
  X_MIGRATION_RECOVERY: {
    action: { type: 'str', values: ['scheduled', 'given-up', 'suspended'] },
    attempt: { type: 'int', optional: true },
    attempts: { type: 'int', optional: true },
    delay: { type: 'int', optional: true },
  },
} as const satisfies EventTable;
