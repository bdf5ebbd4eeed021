import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls, TLSSocket } from 'node:tls';

import {
  clientOptions,
  type DialSecurity,
  explainHandshake,
  parseAddress,
} from '@godwit/transport';

import { messageOf, QmpSocketError } from './errors.ts';
import { DEPTH_MAX, JsonSplitter } from './json-lines.ts';
import { parseServerMessage, type ServerMessage } from './server-message.ts';

/** QEMU's longest reply, query-qmp-schema, is a quarter of a MiB. */
export const REPLY_BYTES_MAX = 16 * 1024 * 1024;

/**
 * @returns a socket that is still connecting.
 * @throws {ChannelError} `ERR_ADDRESS`: not an address.
 */
export function openSocket(address: string, security?: DialSecurity): Socket {
  const parsed = parseAddress(address);
  const carrier =
    parsed.type === 'unix'
      ? connect({ path: parsed.path })
      : connect({ host: parsed.host, port: parsed.port, noDelay: true });
  const host = parsed.type === 'unix' ? '' : parsed.host;
  const socket = security === undefined ? carrier : secure(carrier, security, host);
  // Errors reach whoever connects or reads; between the two nobody listens, and Node would end
  // the process.
  socket.on('error', () => undefined);
  return socket;
}

function secure(carrier: Socket, { credentials, hostname }: DialSecurity, host: string): Socket {
  carrier.on('error', () => undefined); // the TLS socket over it tells
  return connectTls({ ...clientOptions(credentials, hostname ?? host), socket: carrier });
}

/** @throws {QmpSocketError} `ERR_CONNECT`. */
export async function connected(socket: Socket, address: string): Promise<void> {
  try {
    await once(socket, socket instanceof TLSSocket ? 'secureConnect' : 'connect');
  } catch (error) {
    const isTls = socket instanceof TLSSocket && error instanceof Error;
    const why = isTls ? explainHandshake(error) : messageOf(error);
    throw new QmpSocketError('ERR_CONNECT', `cannot connect to ${address}: ${why}`, {
      cause: error,
    });
  }
}

/**
 * What the server sends, until it closes the connection.
 *
 * @throws {QmpSocketError} `ERR_PROTOCOL`, `ERR_LOST`.
 */
export async function* readMessages(
  socket: Socket,
  address: string,
): AsyncGenerator<ServerMessage> {
  const splitter = new JsonSplitter({ valueBytesMax: REPLY_BYTES_MAX, depthMax: DEPTH_MAX });
  for await (const chunk of chunks(socket, address)) {
    splitter.append(chunk);
    for (let piece = splitter.next(); piece !== undefined; piece = splitter.next()) {
      if (piece.type !== 'value') {
        throw new QmpSocketError('ERR_PROTOCOL', `${address} does not speak QMP: ${piece.reason}`);
      }
      yield parseServerMessage(piece.value);
    }
  }
}

async function* chunks(socket: Socket, address: string): AsyncGenerator<Uint8Array> {
  try {
    // A socket without an encoding yields buffers and nothing else.
    for await (const chunk of socket) yield chunk as Uint8Array;
  } catch (error) {
    throw new QmpSocketError('ERR_LOST', `lost the connection to ${address}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
