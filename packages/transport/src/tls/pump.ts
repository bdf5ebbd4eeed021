import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { closeDescriptor, duplicateDescriptor, shutdownSocket, socketPair } from '@godwit/posix';
import { hasPeerLeft } from '../channel-io.ts';
import { ChannelError } from '../errors.ts';
import { descriptorOf } from '../socket-descriptor.ts';
import { limitSilence, limitUnread, limitUnsent } from '../socket-limits.ts';
import { lookAtHello } from './client-hello.ts';
import type { TlsCredentials } from './credentials.ts';
import type { HandshakeThread } from './handshake-turns.ts';
import type { PumpData, PumpMessage } from './pump-api.ts';

/** What is inside of a TLS connection, once both sides have accepted each other. */
export interface Inside {
  /** In the clear; the caller's to close, which ends the whole connection. */
  readonly socket: Socket;
  /** As of `PumpMessage`. */
  readonly identity?: string;
}

const require = createRequire(import.meta.url);

/**
 * A TLS connection, carried by a thread of its own: whoever uses it sees one end of a socket pair, with
 * a descriptor like any other. A thread each, so that the bulk of one connection is never in front of a
 * requested page on another, and so that encryption has more than one processor.
 *
 * The thread ends when both of its sides are closed: by whoever closes the inside, by the other side,
 * or by `destroy`.
 */
export class TlsPump {
  /** Resolves when the thread is gone, and with it every descriptor. */
  readonly ended: Promise<void>;
  /** Why the connection ended, if it was not in good order. */
  reason: string | undefined;
  /** The thread is there. */
  readonly #begun: Promise<void>;
  #tellBegun: () => void = () => undefined;
  readonly #secured: Promise<Inside>;
  #succeed: (inside: Inside) => void = () => undefined;
  #fail: (error: ChannelError) => void = () => undefined;
  #tellEnd: () => void = () => undefined;
  /** Until the thread has it. */
  #connection: Socket | undefined;
  #inside: Socket | undefined;
  #worker: Worker | undefined;
  /** The connection, once it is taken over: for the thread, for its options and its end; -1 without. */
  #wire = -1;

  /** @param connection established, and nothing read from it; the pump's from here on. */
  static client(connection: Socket, credentials: TlsCredentials, hostname: string): TlsPump {
    const pump = new TlsPump(connection);
    pump.#take(connection);
    pump.#start({ credentials, hostname });
    return pump;
  }

  /**
   * As `client`. The thread starts after a client's first word of TLS: whoever says less costs none.
   *
   * @param awaitTurn calls `begin`, now or later.
   */
  static server(
    connection: Socket,
    credentials: TlsCredentials,
    awaitTurn: (thread: HandshakeThread) => void,
  ): TlsPump {
    const pump = new TlsPump(connection);
    let early = Buffer.alloc(0);
    connection.on('data', (chunk: Buffer) => {
      early = Buffer.concat([early, chunk]);
      const hello = lookAtHello(early);
      if (hello === 'part') return;
      if (hello === 'none') {
        pump.destroy(new ChannelError('ERR_TLS', 'the other side does not speak TLS'));
        return;
      }
      pump.#take(connection);
      awaitTurn({
        begin: () => pump.#startUnlessGone({ credentials, hostname: '', early }),
        begun: Promise.race([pump.#begun, pump.ended]),
        ended: pump.ended,
      });
    });
    return pump;
  }

  private constructor(connection: Socket) {
    this.#connection = connection;
    this.#secured = new Promise<Inside>((resolve, reject) => {
      this.#succeed = resolve;
      this.#fail = reject;
    });
    this.#secured.catch(() => undefined); // told to whoever waits; nobody has to
    this.#begun = new Promise((resolve) => {
      this.#tellBegun = resolve;
    });
    this.ended = new Promise((resolve) => {
      this.#tellEnd = resolve;
    });
    connection.on('error', () => undefined); // 'close' follows
    connection.once('close', () => {
      if (this.#connection !== connection) return;
      this.destroy(new ChannelError('ERR_CLOSED', 'the other side closed the connection'));
    });
  }

  /** @throws {ChannelError} `ERR_TLS`, `ERR_CLOSED`, or whatever `destroy` was given. */
  async inside(): Promise<Inside> {
    return await this.#secured;
  }

  /** Ends it, whatever it does; idempotent. What waits to be sent is lost. */
  destroy(reason: ChannelError): void {
    this.#fail(reason);
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection !== undefined) {
      connection.destroy();
      this.#tellEnd();
    }
    this.#inside?.destroy();
    if (this.#wire < 0) return;
    shutdownSocket(this.#wire, 'both');
    if (this.#worker === undefined) this.#release(); // no thread will
  }

  /** The inside was closed by its last user: what was written leaves, for as long as the other side takes it. */
  letGo(): void {
    this.#worker?.postMessage('closed');
  }

  /** As of `Channel`: of what is behind the thread. */
  limitUnsent(byteLength: number): void {
    if (this.#wire >= 0) limitUnsent(this.#wire, byteLength);
  }

  limitUnread(byteLength: number): void {
    if (this.#wire >= 0) limitUnread(this.#wire, byteLength);
  }

  limitSilence(millis: number): void {
    if (this.#wire >= 0) limitSilence(this.#wire, millis);
  }

  /** In one turn of the event loop with the last byte read: what comes after it is the thread's. */
  #take(connection: Socket): void {
    try {
      this.#wire = duplicateDescriptor(descriptorOf(connection));
      this.#connection = undefined;
    } catch (cause) {
      this.destroy(notTaken(cause));
    } finally {
      connection.destroy();
    }
  }

  /** A connection that has waited may have ended, or have been given up. */
  #startUnlessGone(data: Omit<PumpData, 'wire' | 'inner'>): void {
    if (this.#wire < 0) return;
    if (!hasPeerLeft(this.#wire)) return this.#start(data);
    this.destroy(new ChannelError('ERR_CLOSED', 'the other side closed the connection'));
  }

  #start(data: Omit<PumpData, 'wire' | 'inner'>): void {
    if (this.#wire < 0) return; // it could not be taken over
    let ends: Ends | undefined;
    try {
      ends = makeEnds(this.#wire);
      this.#inside = new Socket({ fd: ends.near });
      this.#inside.on('error', () => undefined); // until whoever gets it listens; 'close' follows
      this.#run({ ...data, wire: ends.wire, inner: ends.far }, this.#inside);
    } catch (cause) {
      if (ends !== undefined) [ends.wire, ends.far].forEach(closeDescriptor);
      this.destroy(notTaken(cause));
    }
  }

  #run(workerData: PumpData, socket: Socket): void {
    // Always the build: Workers cannot run TypeScript sources on Node 20.
    const file = require.resolve('#threads/tls-pump');
    const worker = new Worker(file, { workerData, name: 'tls-pump', execArgv: [] });
    this.#worker = worker;
    let hasBegun = false;
    const breaks = (reason: string): void => {
      this.reason ??= reason;
      this.#fail(new ChannelError('ERR_TLS', reason));
    };
    worker.on('message', (message: PumpMessage) => {
      if (message.type === 'begun') {
        hasBegun = true;
        this.#tellBegun();
        return;
      }
      if (message.type === 'broken') return breaks(message.reason);
      const { identity } = message;
      this.#succeed({ socket, ...(identity === undefined ? {} : { identity }) });
    });
    worker.on('error', (error) => breaks(error.message));
    worker.on('exit', () => {
      this.#fail(new ChannelError('ERR_CLOSED', 'the connection ended during the handshake'));
      // A thread that could not begin, for want of descriptors or memory, has closed nothing.
      if (!hasBegun) [workerData.wire, workerData.inner].forEach(closeDescriptor);
      this.#release();
    });
  }

  #release(): void {
    closeDescriptor(this.#wire);
    this.#wire = -1;
    this.#tellEnd();
  }
}

/** What a thread is begun with, and what stays. */
interface Ends {
  /** Of the connection: the thread's. */
  readonly wire: number;
  /** Of the pair: the user's end and the thread's. */
  readonly near: number;
  readonly far: number;
}

/**
 * What the event loops take of the threads that begin at once. Where one of them cannot have all of its
 * own, Node leaves the first open for good: a crowd would have a process short of descriptors for ever.
 */
const LOOP_DESCRIPTORS = 16;

/** @throws {SystemError} too few descriptors are left; then none was taken. */
function makeEnds(connection: number): Ends {
  const wire = duplicateDescriptor(connection);
  try {
    needSpare(wire, LOOP_DESCRIPTORS);
    const [near, far] = socketPair();
    return { wire, near, far };
  } catch (error) {
    closeDescriptor(wire);
    throw error;
  }
}

/** @throws {SystemError} fewer are left. */
function needSpare(descriptor: number, count: number): void {
  const spare: number[] = [];
  try {
    while (spare.length < count) spare.push(duplicateDescriptor(descriptor));
  } finally {
    spare.forEach(closeDescriptor);
  }
}

function notTaken(cause: unknown): ChannelError {
  const message = `the connection cannot be taken over: ${(cause as Error).message}`;
  return new ChannelError('ERR_CLOSED', message, { cause });
}
