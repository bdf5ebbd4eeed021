import type { ChannelError } from '@godwit/transport';
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

/**
 * As `explainSource`, of a guest that has arrived, or all of it but the order to run.
 *
 * @param unjournalled why there is no journal, where there should be one.
 */
export function explainDestination(
  reason: Error,
  phase: 'loaded' | 'running',
  unjournalled: Error | undefined,
): MigrationError {
  if (reason instanceof MigrationError && unjournalled === undefined) return reason;
  const code = phase === 'loaded' ? 'ERR_RUN_UNCONFIRMED' : 'ERR_POSTCOPY_LOST';
  const more = unjournalled === undefined ? '' : `; not in the journal: ${unjournalled.message}`;
  return new MigrationError(code, reason.message + more, { cause: reason });
}

/** The guest had not arrived: what there was of it is thrown away, and the source has it. */
export function explainDiscarded(reason: Error): MigrationError {
  if (reason instanceof MigrationError) return reason;
  return new MigrationError('ERR_DISCARDED', reason.message, { cause: reason });
}

/** Whoever set up TLS must be able to read why a source does not get in. */
export function isAboutTls({ code }: ChannelError): boolean {
  return code === 'ERR_TLS' || code === 'ERR_CREDENTIALS';
}
