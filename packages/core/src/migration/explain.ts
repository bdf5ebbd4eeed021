import { MigrationError, type MigrationErrorCode } from '../errors.ts';
import type { SourceStatus } from './status.ts';

const codes: Partial<Record<SourceStatus, MigrationErrorCode>> = {
  setup: 'ERR_SETUP',
  'postcopy-active': 'ERR_POSTCOPY_LOST',
  'postcopy-recover-setup': 'ERR_RECOVERY',
  'postcopy-recover': 'ERR_RECOVERY',
};

/** Says of a failure of the link who holds the guest after it. */
export function explainSource(
  error: Error,
  status: SourceStatus,
  handedOver: boolean,
): MigrationError {
  if (error instanceof MigrationError) return error;
  const code = codes[status] ?? (handedOver ? 'ERR_RUN_UNCONFIRMED' : 'ERR_PEER_LOST');
  return new MigrationError(code, error.message, { cause: error });
}
