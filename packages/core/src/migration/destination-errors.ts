import type { ChannelError } from '@godwit/transport';
import { MigrationError } from '../errors.ts';
import type { DestinationPhase } from './incoming-guest.ts';

/** @param unjournalled why there is no journal, where there should be one. */
export function explainLoss(
  reason: Error,
  phase: DestinationPhase,
  unjournalled: Error | undefined,
): MigrationError {
  if (reason instanceof MigrationError && unjournalled === undefined) return reason;
  const code = phase === 'loaded' ? 'ERR_RUN_UNCONFIRMED' : 'ERR_POSTCOPY_LOST';
  const more = unjournalled === undefined ? '' : `; not in the journal: ${unjournalled.message}`;
  return new MigrationError(code, reason.message + more, { cause: reason });
}

/** The guest had not been taken over: what has come of it is thrown away. */
export function toDiscarded(reason: Error): MigrationError {
  if (reason instanceof MigrationError) return reason;
  return new MigrationError('ERR_DISCARDED', reason.message, { cause: reason });
}

/** Whoever set up TLS reads in `error-desc` why a source does not get in. */
export function isAboutTls(reason: ChannelError): boolean {
  return reason.code === 'ERR_TLS' || reason.code === 'ERR_CREDENTIALS';
}
