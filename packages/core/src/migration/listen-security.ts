import { type ListenSecurity, SecurityObjects } from '@godwit/transport';
import type { Parameters } from '../parameters.ts';

/**
 * How a connection that comes now must be secured, as the parameters ask for it.
 *
 * @throws {ChannelError} `ERR_CREDENTIALS`: it cannot be.
 */
export function listenSecurity(options: {
  readonly parameters: () => Parameters;
  readonly security?: SecurityObjects | undefined;
}): ListenSecurity | undefined {
  const { 'tls-creds': credsId, 'tls-authz': authzId } = options.parameters();
  const objects = options.security ?? new SecurityObjects();
  return objects.forListening({ credsId, authzId });
}
