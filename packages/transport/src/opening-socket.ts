import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { duplicateDescriptor, setBlocking } from '@godwit/posix';
import { ChannelError } from './errors.ts';
import { descriptorOf } from './socket-descriptor.ts';

/** First byte of every TLS connection, and of no message of ours. */
export const TLS_HANDSHAKE = 0x16;

/** More than the longest message of an opening: whoever sends more speaks something else. */
const OPENING_BYTES_MAX = 512;

/**
 * A connection while it is being opened: whole messages in and out of a `net.Socket`, on the event
 * loop, until its descriptor is handed to a thread. Ends with `detach` or `destroy`.
 */
export class OpeningSocket {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #waiting: { bytes: number; resolve: (bytes: Buffer) => void } | undefined;
  #fail: (error: ChannelError) => void = () => undefined;
  readonly #failed: Promise<never>;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#failed = new Promise<never>((_resolve, reject) => {
      this.#fail = reject;
    });
    this.#failed.catch(() => undefined); // told to whoever waits; nobody has to
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', (cause) => {
      this.#fail(
        new ChannelError('ERR_CLOSED', `the connection broke: ${cause.message}`, { cause }),
      );
    });
    socket.on('close', () => {
      this.#fail(new ChannelError('ERR_CLOSED', 'the other side closed the connection'));
    });
  }

  /** @throws {ChannelError} `ERR_CLOSED`, or whatever `destroy` was given. */
  async read(bytes: number): Promise<Buffer> {
    assert.equal(this.#waiting, undefined);
    const arrived = new Promise<Buffer>((resolve) => {
      this.#waiting = { bytes, resolve };
      this.#serve();
    });
    return await Promise.race([arrived, this.#failed]);
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  /**
   * Takes the descriptor over, in blocking mode. Must follow the last `read` in the same turn of
   * the event loop, so that nothing that comes later is read here.
   *
   * @throws {ChannelError} `ERR_PROTOCOL` when the peer sent more than the opening; `ERR_CLOSED`
   *   when it left, or when this process has no descriptor to spare.
   */
  detach(): number {
    if (this.#received.byteLength > 0) {
      throw new ChannelError('ERR_PROTOCOL', 'bytes after the opening, before it was answered');
    }
    const descriptor = duplicate(descriptorOf(this.#socket));
    this.#socket.removeAllListeners('data');
    this.#socket.destroy();
    setBlocking(descriptor, true);
    return descriptor;
  }

  destroy(reason: ChannelError): void {
    this.#fail(reason);
    this.#socket.destroy();
  }

  /** Sends the last words, if they fit, and closes. */
  end(bytes: Uint8Array): void {
    this.#socket.end(bytes);
    this.#socket.destroySoon();
  }

  #take(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    if (this.#received[0] === TLS_HANDSHAKE) {
      const message = 'the other side speaks TLS, and this side has no tls-creds set';
      this.destroy(new ChannelError('ERR_TLS', message));
      return;
    }
    if (this.#received.byteLength > OPENING_BYTES_MAX) {
      this.destroy(new ChannelError('ERR_STRANGER', 'the other side sends more than an opening'));
      return;
    }
    this.#serve();
  }

  #serve(): void {
    const waiting = this.#waiting;
    if (waiting === undefined || this.#received.byteLength < waiting.bytes) return;
    this.#waiting = undefined;
    const bytes = this.#received.subarray(0, waiting.bytes);
    this.#received = this.#received.subarray(waiting.bytes);
    waiting.resolve(bytes);
  }
}

function duplicate(descriptor: number): number {
  try {
    return duplicateDescriptor(descriptor);
  } catch (cause) {
    const message = `the connection cannot be taken over: ${(cause as Error).message}`;
    throw new ChannelError('ERR_CLOSED', message, { cause });
  }
}
