import type { Socket } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { distinguishedName } from './distinguished-name.ts';
import { explainCode, explainHandshake, HANDSHAKE_ENDED } from './explain-tls.ts';
import { clientOptions, serverOptions } from './tls-options.ts';
import type { PumpData } from './pump-api.ts';

type HandshakeData = Pick<PumpData, 'credentials' | 'hostname'>;

/** The handshake is done, and the other side is who it must be. */
export interface Secured {
  /** It is closed after an error, whoever listens. */
  readonly socket: TLSSocket;
  /** As of `PumpMessage`. */
  readonly identity?: string;
}

/**
 * Makes TLS of a connection, as the client or the server that the credentials are for.
 *
 * @throws {Error} why not, in words. The carrier is the caller's to destroy.
 */
export async function shakeHands(carrier: Socket, data: HandshakeData): Promise<Secured> {
  return data.credentials.endpoint === 'client'
    ? await asClient(carrier, data)
    : await asServer(carrier, data);
}

async function asClient(
  carrier: Socket,
  { credentials, hostname }: HandshakeData,
): Promise<Secured> {
  return await new Promise<Secured>((resolve, reject) => {
    const socket = connect({ ...clientOptions(credentials, hostname), socket: carrier });
    const fail = (error: Error): void => reject(new Error(explainHandshake(error)));
    socket.once('error', fail);
    socket.once('close', () => reject(new Error(HANDSHAKE_ENDED)));
    socket.once('secureConnect', () => {
      socket.removeListener('error', fail);
      endWithError(socket);
      resolve({ socket });
    });
  });
}

async function asServer(carrier: Socket, { credentials }: HandshakeData): Promise<Secured> {
  return await new Promise<Secured>((resolve, reject) => {
    let username: string | undefined;
    const server = createServer(serverOptions(credentials, (name) => (username = name)));
    server.once('tlsClientError', (error, socket) => {
      // With a certificate that fails Node ends the connection, and leaves the reason here.
      const code = socket.authorizationError as unknown;
      const isNamed = typeof code === 'string';
      reject(new Error(isNamed ? explainCode(code, code) : explainHandshake(error)));
    });
    // Node closes the carrier before it tells why: the reason comes first, where there is one.
    carrier.once('close', () => setImmediate(() => reject(new Error(HANDSHAKE_ENDED))));
    server.once('secureConnection', (socket) => {
      endWithError(socket);
      const subject = socket.getPeerX509Certificate()?.subject;
      const identity = subject === undefined ? username : distinguishedName(subject);
      const isProved = credentials.type === 'psk' || socket.authorized;
      if (!isProved || identity === undefined) return resolve({ socket });
      resolve({ socket, identity });
    });
    server.emit('connection', carrier);
  });
}

/** Node tells of a record that was damaged, reads on and finds nothing any more: the connection would hang. */
function endWithError(socket: TLSSocket): void {
  socket.on('error', () => socket.destroy());
}
