import { createServer, type Server, type Socket } from 'node:net';

import { ChannelError, type ListenSecurity, PendingOpenings, shakeHands } from '@godwit/transport';

/** Connections that have not proved yet who they are; one more drops the oldest of the address that has most. */
export const STRANGERS_MAX = 64;
/** Until one of them is dropped in any case. */
const HANDSHAKE_MILLIS = 10_000;

export interface Door {
  readonly server: Server;
  /** Whoever has not proved yet who they are has nobody to prove it to any more. */
  close(): void;
}

/**
 * A server whose clients prove who they are before they count as clients: strangers who only connect
 * must not keep out the one that looks after the guest.
 *
 * @param onClient owns each socket from then on.
 */
export function createDoor(
  security: ListenSecurity,
  clientsMax: number,
  onClient: (socket: Socket) => void,
): Door {
  const strangers = new PendingOpenings(STRANGERS_MAX);
  let clients = 0;
  const enter = async (carrier: Socket): Promise<void> => {
    const from = carrier.remoteAddress ?? '';
    strangers.add(carrier, from);
    const socket = await prove(carrier, security);
    strangers.delete(carrier, from);
    if (socket === undefined) return void carrier.destroy();
    if (clients >= clientsMax) return void socket.destroy();
    clients += 1;
    socket.once('close', () => (clients -= 1));
    onClient(socket);
  };
  const options = { allowHalfOpen: true, noDelay: true };
  return {
    server: createServer(options, (carrier) => void enter(carrier)),
    close: () => strangers.destroyAll(new ChannelError('ERR_ABORTED', 'the listener was closed')),
  };
}

/** @returns nothing for who may not come in. */
async function prove(carrier: Socket, security: ListenSecurity): Promise<Socket | undefined> {
  const { credentials, isAuthorized } = security;
  carrier.on('error', () => undefined); // 'close' follows
  const timer = setTimeout(() => carrier.destroy(), HANDSHAKE_MILLIS);
  try {
    const { socket, identity } = await shakeHands(carrier, { credentials, hostname: '' });
    if (isAuthorized === undefined) return socket;
    if (identity !== undefined && isAuthorized(identity)) return socket;
    socket.destroy();
    return undefined;
  } catch {
    return undefined; // who fails the handshake is told by TLS itself
  } finally {
    clearTimeout(timer);
  }
}
