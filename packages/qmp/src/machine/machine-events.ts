import type { EventTable } from '../command-table.ts';
import { migrationStatusSpec } from './migration-info.ts';

/** All that a machine tells of, and what with. */
export const machineEvents = {
  STOP: {},
  RESUME: {},
  MIGRATION: { status: migrationStatusSpec },
  MIGRATION_PASS: { pass: { type: 'int' } },
} as const satisfies EventTable;
