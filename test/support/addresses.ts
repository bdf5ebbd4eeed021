import { once } from 'node:events';
import { createServer } from 'node:net';
import { anyAddress, listenOn, type Transport } from '@godwit/chaos';
import { formatAddress } from '@godwit/transport';

export { anyAddress, connectOptions, listenOn, type Transport } from '@godwit/chaos';

/** Both, unless `GODWIT_TRANSPORT` names one, as it does for the fault tests; see vitest.config.ts. */
export const transports: readonly Transport[] = (['unix', 'tcp'] as const).filter((transport) => {
  const only = process.env['GODWIT_TRANSPORT'];
  return only === undefined || only === 'both' || only === transport;
});

/** An address where nobody listens, and where nobody else will for a while. */
export async function refusedAddress(transport: Transport, directory: string): Promise<string> {
  const server = createServer();
  const address = await listenOn(server, anyAddress(transport, directory));
  server.close();
  await once(server, 'close');
  return formatAddress(address);
}
