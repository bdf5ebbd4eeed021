import { randomBytes } from 'node:crypto';
import { lstatSync, unlinkSync, writeSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { type Address, formatAddress } from './address.ts';
import { Channel } from './channel.ts';
import { ChannelError } from './errors.ts';
import {
  type AnswerStatus,
  decodeHello,
  encodeAnswer,
  encodeGreeting,
  HELLO_BYTES,
  type Hello,
  NONCE_BYTES,
  PROOF_BYTES,
  PROTOCOL_VERSION,
} from './framing/opening.ts';
import { OpeningAttempt } from './opening-attempt.ts';
import { PendingOpenings } from './pending-openings.ts';
import { answerProof, helloProof, isSameProof, type Session } from './session.ts';
import type { ListenSecurity } from './tls/credentials.ts';
import { HandshakeTurns } from './tls/handshake-turns.ts';
import { TlsPump } from './tls/pump.ts';

/** What the owner of the session says to a hello, before its proof is checked. */
export type Admission =
  | { readonly session: Session; readonly epoch: number }
  | { readonly refuse: AnswerStatus; readonly reason: string; readonly epoch: number };

export interface ListenOptions {
  /** Decides from what the hello claims; the proof is checked afterwards, here. */
  readonly admit: (hello: Hello) => Admission;
  /** A connection that has proved itself; the receiver owns the channel. */
  readonly onChannel: (channel: Channel, hello: Hello) => void;
  /** A connection that was refused: counted and logged by whoever cares, never fatal. */
  readonly onRefused?: (error: ChannelError) => void;
  readonly timeoutMillis: number;
  /**
   * Asked for each connection: how it must be secured; undefined, it is in the clear.
   *
   * @throws {ChannelError} it cannot be: the connection is refused.
   */
  readonly security?: () => ListenSecurity | undefined;
}

/** A listening address; unrelated to the channels it has accepted. */
export class Listener {
  readonly #server: Server;
  readonly #options: ListenOptions;
  readonly #pending = new PendingOpenings();
  readonly #handshakes = new HandshakeTurns();
  /** With the port that the system chose, where the caller gave 0. */
  readonly address: Address;

  private constructor(server: Server, address: Address, options: ListenOptions) {
    this.#server = server;
    this.address = address;
    this.#options = options;
    server.on('connection', (socket) => void this.#greet(socket));
    // One connection that could not be accepted (ECONNABORTED, ENFILE); the listener goes on.
    server.on('error', (cause) => {
      const message = `cannot accept a connection: ${cause.message}`;
      options.onRefused?.(new ChannelError('ERR_LISTEN', message, { cause }));
    });
  }

  /**
   * @throws {ChannelError} `ERR_LISTEN`: in use, not permitted, no such host or directory.
   */
  static async open(address: Address, options: ListenOptions): Promise<Listener> {
    const server = createServer({ noDelay: true });
    try {
      if (address.type === 'unix') await removeStaleSocket(address.path);
      await bind(server, address);
    } catch (cause) {
      if (cause instanceof ChannelError) throw cause;
      const message = `cannot listen on ${formatAddress(address)}: ${(cause as Error).message}`;
      throw new ChannelError('ERR_LISTEN', message, { cause });
    }
    return new Listener(server, boundAddress(server, address), options);
  }

  /** Stops listening, drops the openings under way, removes the socket file. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#pending.destroyAll(new ChannelError('ERR_ABORTED', 'the listener was closed'));
    await closed;
  }

  async #greet(socket: Socket): Promise<void> {
    const opening = new OpeningAttempt(socket);
    const from = socket.remoteAddress ?? ''; // of a Unix socket: they are all from this host
    this.#pending.add(opening, from);
    const { timeoutMillis } = this.#options;
    const timer = setTimeout(() => {
      opening.destroy(new ChannelError('ERR_TIMEOUT', `no hello within ${timeoutMillis} ms`));
    }, timeoutMillis);
    try {
      await this.#open(opening, await this.#secure(opening, socket, from));
      this.#handshakes.opened(opening);
    } catch (error) {
      if (!(error instanceof ChannelError)) throw error;
      this.#handshakes.givenUp(opening);
      opening.destroy(error);
      this.#options.onRefused?.(error);
    } finally {
      clearTimeout(timer);
      this.#pending.delete(opening, from);
    }
  }

  /** @returns the connection, or what is inside of it. @throws {ChannelError} */
  async #secure(attempt: OpeningAttempt, socket: Socket, from: string): Promise<Socket> {
    const security = this.#options.security?.();
    if (security === undefined) return socket;
    const pump = TlsPump.server(socket, security.credentials, (thread) => {
      this.#handshakes.ask(attempt, from, thread);
    });
    const inside = await attempt.secure(pump);
    const { isAuthorized } = security;
    const { identity } = inside;
    if (isAuthorized === undefined) return inside.socket;
    if (identity !== undefined && isAuthorized(identity)) return inside.socket;
    const who = identity ?? 'somebody who has not proved a name';
    throw new ChannelError('ERR_TLS', `TLS authz check for ${who} is denied`);
  }

  async #open(attempt: OpeningAttempt, socket: Socket): Promise<void> {
    const opening = attempt.open(socket);
    const greetingNonce = randomBytes(NONCE_BYTES);
    const versions = { versionMin: PROTOCOL_VERSION, versionMax: PROTOCOL_VERSION };
    opening.write(encodeGreeting({ ...versions, nonce: greetingNonce }));
    const hello = decodeHello(await opening.read(HELLO_BYTES));
    const admission = this.#admit(hello, greetingNonce);
    if ('refuse' in admission) {
      const { refuse, epoch, reason } = admission;
      const proof = new Uint8Array(PROOF_BYTES);
      attempt.end(opening, encodeAnswer({ status: refuse, epoch, proof, reason }));
      throw new ChannelError('ERR_REFUSED', `a connection was refused (${refuse}): ${reason}`);
    }
    const subject = { ...hello, greetingNonce, helloNonce: hello.nonce };
    const proof = answerProof(admission.session, subject);
    const channel = new Channel(opening.detach(), hello.role, hello.epoch, attempt.pump);
    // A fresh connection's buffer holds these few bytes: the write cannot block.
    const answer = { status: 'accepted', epoch: admission.epoch, proof, reason: '' } as const;
    try {
      writeSync(channel.descriptor, encodeAnswer(answer));
    } catch (cause) {
      channel.close();
      throw new ChannelError('ERR_CLOSED', 'the other side left before the answer', { cause });
    }
    this.#options.onChannel(channel, hello);
  }

  #admit(hello: Hello, greetingNonce: Uint8Array): Admission {
    if (hello.version !== PROTOCOL_VERSION) {
      return { refuse: 'version', reason: `version ${PROTOCOL_VERSION} is spoken here`, epoch: 0 };
    }
    const admission = this.#options.admit(hello);
    if ('refuse' in admission || hello.newSession) return admission;
    const subject = { ...hello, greetingNonce, helloNonce: hello.nonce };
    if (isSameProof(hello.proof, helloProof(admission.session, subject))) return admission;
    return { refuse: 'proof', reason: 'the proof of the session is wrong', epoch: 0 };
  }
}

/** A socket file that nobody listens on is left over from a dead process; a live one is refused. */
async function removeStaleSocket(path: string): Promise<void> {
  const code = await new Promise<string | undefined>((resolve) => {
    const probe = connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(undefined);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'EIO'));
  });
  if (code === undefined) {
    const message = `cannot listen on unix:${path}: somebody listens there already`;
    throw new ChannelError('ERR_LISTEN', message);
  }
  // Only a dead socket is ours to remove, and Linux refuses a connection to any other file in the
  // same words; what else lies there is for bind to report.
  if (code === 'ECONNREFUSED' && lstatSync(path).isSocket()) unlinkSync(path);
}

async function bind(server: Server, address: Address): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    const listening = (): void => {
      server.removeListener('error', reject);
      resolve();
    };
    if (address.type === 'tcp') {
      // Without a host Node takes `::`, or 0.0.0.0 where the system has no IPv6.
      const host = address.host === '' ? {} : { host: address.host };
      server.listen({ ...host, port: address.port }, listening);
      return;
    }
    // The file must never be open to others, not even between bind and a chmod: the umask makes it
    // 0600. Where bind fails, the path is another's, and its mode is left alone.
    const umask = process.umask(0o177);
    try {
      server.listen({ path: address.path }, listening);
    } finally {
      process.umask(umask);
    }
  });
}

function boundAddress(server: Server, address: Address): Address {
  const bound = server.address();
  if (address.type === 'unix' || bound === null || typeof bound === 'string') return address;
  return {
    type: 'tcp',
    host: address.host === '' ? bound.address : address.host,
    port: bound.port,
  };
}
