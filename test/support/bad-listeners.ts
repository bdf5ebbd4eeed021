import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { formatAddress } from '@godwit/transport';
import { anyAddress, listenOn, type Transport } from './addresses.ts';
import { ANSWER_BYTES, GREETING_BYTES, HELLO_BYTES } from './wire-reader.ts';

/** Somebody who listens where a destination should, and is none. */
export class BadListener implements AsyncDisposable {
  readonly uri: string;
  /** How many have dialled. */
  connectionCount = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  static async open(
    transport: Transport,
    directory: string,
    onConnection: (socket: Socket) => void,
  ): Promise<BadListener> {
    const server = createServer({ noDelay: true });
    const address = await listenOn(server, anyAddress(transport, directory));
    return new BadListener(server, formatAddress(address), onConnection);
  }

  private constructor(server: Server, uri: string, onConnection: (socket: Socket) => void) {
    this.uri = uri;
    this.#server = server;
    server.on('connection', (socket) => {
      this.connectionCount += 1;
      this.#sockets.add(socket);
      socket.on('error', () => undefined); // whoever dialled may leave as it likes
      socket.on('close', () => this.#sockets.delete(socket));
      onConnection(socket);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, 'close');
  }
}

/** Accepts and never says a word. */
export async function silentListener(
  transport: Transport,
  directory: string,
): Promise<BadListener> {
  return await BadListener.open(transport, directory, (socket) => socket.resume());
}

/** Accepts and ends the connection at once. */
export async function closingListener(
  transport: Transport,
  directory: string,
): Promise<BadListener> {
  return await BadListener.open(transport, directory, (socket) => socket.end());
}

/** Knows the protocol, not the secret: accepts every hello with a proof that proves nothing. */
export async function strangerListener(
  transport: Transport,
  directory: string,
): Promise<BadListener> {
  return await BadListener.open(transport, directory, (socket) => {
    socket.write(greetingBytes());
    let received = 0;
    socket.on('data', (chunk: Buffer) => {
      const before = received;
      received += chunk.byteLength;
      const isHelloHere = before < HELLO_BYTES && received >= HELLO_BYTES;
      if (isHelloHere) socket.write(answerBytes(randomBytes(32)));
    });
  });
}

const MAGIC = Buffer.from('GODWIT\r\n');

/** docs/PROTOCOL.md, section 2. */
export function greetingBytes(): Buffer {
  const bytes = Buffer.alloc(GREETING_BYTES);
  bytes.set(MAGIC);
  bytes.writeUInt16LE(1, 8);
  bytes.writeUInt16LE(1, 10);
  bytes.set(randomBytes(16), 16);
  return bytes;
}

/** @param role 1 main, 2 urgent. */
export function helloBytes(role: number, epoch: number): Buffer {
  const bytes = Buffer.alloc(HELLO_BYTES);
  bytes.set(MAGIC);
  bytes.writeUInt16LE(1, 8);
  bytes.writeUInt8(role, 10);
  bytes.writeUInt32LE(epoch, 12);
  bytes.set(randomBytes(64), 16);
  return bytes;
}

/** Status 0: accepted. */
export function answerBytes(proof: Uint8Array, status = 0, reason = ''): Buffer {
  const text = Buffer.from(reason);
  const bytes = Buffer.alloc(ANSWER_BYTES);
  bytes.set(MAGIC);
  bytes.writeUInt16LE(status, 8);
  bytes.writeUInt16LE(text.byteLength, 10);
  bytes.set(proof, 16);
  return Buffer.concat([bytes, text]);
}
