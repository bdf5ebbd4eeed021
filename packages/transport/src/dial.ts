import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { setSocketBuffers } from '@godwit/posix';
import { type Address, formatAddress } from './address.ts';
import { Channel } from './channel.ts';
import { ChannelError } from './errors.ts';
import { descriptorOf } from './socket-descriptor.ts';
import {
  ANSWER_BYTES,
  answerReasonBytes,
  type Answer,
  decodeAnswer,
  decodeGreeting,
  encodeHello,
  GREETING_BYTES,
  type Greeting,
  NONCE_BYTES,
  PROTOCOL_VERSION,
  type Role,
} from './framing/opening.ts';
import { OpeningAttempt } from './opening-attempt.ts';
import type { OpeningSocket } from './opening-socket.ts';
import {
  answerProof,
  helloProof,
  isSameProof,
  type ProofSubject,
  type Session,
} from './session.ts';
import type { DialSecurity } from './tls/credentials.ts';
import { TlsPump } from './tls/pump.ts';

/** As much as leaves in one write; asked for, and granted up to `net.core.wmem_max`. */
const UNIX_SEND_BYTES = 1024 * 1024;

/** Until it is tried again. */
const QUEUE_FULL_MILLIS = 10;

export interface DialOptions {
  readonly session: Session;
  readonly role: Role;
  readonly epoch: number;
  /** The first connection of a session: the hello hands the secret over. */
  readonly newSession?: boolean;
  readonly index?: number;
  /** For connecting and for the whole opening, each. */
  readonly timeoutMillis: number;
  readonly signal?: AbortSignal;
  /** Left out, the connection is in the clear. */
  readonly security?: DialSecurity | undefined;
}

/**
 * Connects and opens: afterwards both sides have proved that they belong to the session.
 *
 * @throws {ChannelError} `ERR_CONNECT`, `ERR_TIMEOUT`, `ERR_ABORTED`, `ERR_REFUSED` (with the
 *   acceptor's reason), `ERR_TLS`, `ERR_STRANGER`, `ERR_PROTOCOL`, `ERR_CLOSED`. Nothing is left open.
 */
export async function dial(address: Address, options: DialOptions): Promise<Channel> {
  try {
    const hostname = hostnameOf(address, options.security);
    const socket = await connectSocket(address, options);
    if (address.type === 'unix' && options.role !== 'urgent') widen(descriptorOf(socket));
    const { descriptor, pump } = await openWithin(options, socket, hostname);
    if (pump !== undefined && options.role !== 'urgent') widen(descriptor); // one end of a socket pair
    return new Channel(descriptor, options.role, options.epoch, pump);
  } catch (error) {
    if (!(error instanceof ChannelError)) throw error;
    const message = `${formatAddress(address)}: ${error.message}`;
    throw new ChannelError(error.code, message, { cause: error });
  }
}

/**
 * A Unix socket holds 208 KiB and does not grow: the writer would wait while the reader places what it has.
 * TCP grows by itself, until somebody sets a size.
 */
function widen(descriptor: number): void {
  setSocketBuffers(descriptor, { sendBytes: UNIX_SEND_BYTES });
}

/** @returns the descriptor of the opened connection; without one, nothing is left open. */
async function openWithin(
  options: DialOptions,
  socket: Socket,
  hostname: string,
): Promise<{ descriptor: number; pump: TlsPump | undefined }> {
  const attempt = new OpeningAttempt(socket);
  const watch = watchOpening(options, (error) => attempt.destroy(error));
  const { security } = options;
  try {
    checkAborted(options.signal); // between this watch and the one of connecting nobody listened
    const inside =
      security === undefined
        ? { socket }
        : await attempt.secure(TlsPump.client(socket, security.credentials, hostname));
    const descriptor = await open(attempt.open(inside.socket), options);
    return { descriptor, pump: attempt.pump };
  } catch (error) {
    attempt.destroy(new ChannelError('ERR_CLOSED', 'the opening failed'));
    throw await explainEnd(error, attempt.pump);
  } finally {
    watch.stop();
  }
}

/** What a server does not accept of a client, the client learns only after its own handshake is done. */
async function explainEnd(error: unknown, pump: TlsPump | undefined): Promise<unknown> {
  if (!(error instanceof ChannelError) || pump === undefined) return error;
  if (error.code !== 'ERR_CLOSED' && error.code !== 'ERR_TLS') return error;
  await pump.ended; // its reason may still be under way
  if (pump.reason === undefined) return error;
  return new ChannelError('ERR_TLS', pump.reason, { cause: error });
}

/** @returns what the server's certificate must name. @throws {ChannelError} `ERR_TLS`: nobody knows. */
function hostnameOf(address: Address, security: DialSecurity | undefined): string {
  const hostname = security?.hostname ?? (address.type === 'tcp' ? hostOf(address).host : '');
  const credentials = security?.credentials;
  if (hostname === '' && credentials?.type === 'x509' && credentials.verifyPeer) {
    const message = 'No hostname for certificate validation: set tls-hostname to what it must name';
    throw new ChannelError('ERR_TLS', message);
  }
  return hostname;
}

async function open(opening: OpeningSocket, options: DialOptions): Promise<number> {
  const { session, role, epoch, index = 0, newSession = false } = options;
  const greeting = decodeGreeting(await readGreeting(opening, options.security));
  checkVersion(greeting);
  const helloNonce = randomBytes(NONCE_BYTES);
  const subject = { role, index, epoch, greetingNonce: greeting.nonce, helloNonce };
  const hello = {
    version: PROTOCOL_VERSION,
    role,
    newSession,
    epoch,
    migrationId: session.migrationId,
    nonce: helloNonce,
    proof: newSession ? session.secret : helloProof(session, subject),
    index,
  };
  opening.write(encodeHello(hello));
  const fixed = await opening.read(ANSWER_BYTES);
  const reasonBytes = answerReasonBytes(fixed);
  const reason = reasonBytes === 0 ? Buffer.alloc(0) : await opening.read(reasonBytes);
  checkAnswer(decodeAnswer(Buffer.concat([fixed, reason])), session, subject);
  return opening.detach();
}

/** The acceptor speaks first: where it does not, it may wait for something else. */
async function readGreeting(
  opening: OpeningSocket,
  security: DialSecurity | undefined,
): Promise<Buffer> {
  try {
    return await opening.read(GREETING_BYTES);
  } catch (error) {
    if (!(error instanceof ChannelError)) throw error;
    if (error.code !== 'ERR_CLOSED' && error.code !== 'ERR_TIMEOUT') throw error;
    if (security === undefined) {
      const message = `${error.message}; it may expect TLS (tls-creds)`;
      throw new ChannelError(error.code, message, { cause: error });
    }
    if (error.code === 'ERR_TIMEOUT') throw error;
    const message =
      'the other side ended the connection after the TLS handshake: it does not accept who this side is ' +
      '(its certificate, or tls-authz there)';
    throw new ChannelError('ERR_TLS', message, { cause: error });
  }
}

function checkVersion(greeting: Greeting): void {
  if (greeting.versionMin <= PROTOCOL_VERSION && PROTOCOL_VERSION <= greeting.versionMax) return;
  const spoken = `${greeting.versionMin} to ${greeting.versionMax}`;
  const message = `the destination speaks versions ${spoken}, this side speaks ${PROTOCOL_VERSION}`;
  throw new ChannelError('ERR_REFUSED', message);
}

function checkAnswer(answer: Answer, session: Session, subject: ProofSubject): void {
  if (answer.status !== 'accepted') {
    throw new ChannelError('ERR_REFUSED', `refused (${answer.status}): ${answer.reason}`);
  }
  if (!isSameProof(answer.proof, answerProof(session, subject))) {
    throw new ChannelError('ERR_STRANGER', 'whoever listens there cannot prove this session');
  }
}

/** A Unix socket whose queue is full says so at once, where TCP waits: whoever accepts there is busy. */
async function connectSocket(address: Address, options: DialOptions): Promise<Socket> {
  const deadline = performance.now() + options.timeoutMillis;
  for (;;) {
    try {
      return await connectOnce(address, options);
    } catch (error) {
      if (!isQueueFull(error)) throw error;
      if (performance.now() + QUEUE_FULL_MILLIS > deadline) {
        const message = `its queue is full, and was for ${options.timeoutMillis} ms`;
        throw new ChannelError('ERR_TIMEOUT', message, { cause: error });
      }
      await sleep(QUEUE_FULL_MILLIS);
    }
  }
}

function isQueueFull(error: unknown): boolean {
  const cause = error instanceof ChannelError ? error.cause : undefined;
  return (cause as NodeJS.ErrnoException | undefined)?.code === 'EAGAIN';
}

async function connectOnce(address: Address, options: DialOptions): Promise<Socket> {
  checkAborted(options.signal);
  const target = address.type === 'unix' ? { path: address.path } : hostOf(address);
  return await new Promise<Socket>((resolve, reject) => {
    const socket = connect(target);
    const watch = watchOpening(options, (error) => end(error));
    const end = (error?: ChannelError): void => {
      watch.stop();
      socket.removeAllListeners();
      if (error === undefined) return resolve(socket);
      socket.on('error', () => undefined); // destroyed while connecting: nobody is left to tell
      socket.destroy();
      reject(error);
    };
    socket.once('error', (cause) => {
      end(new ChannelError('ERR_CONNECT', `cannot connect: ${cause.message}`, { cause }));
    });
    socket.once('connect', () => {
      if (address.type === 'tcp') socket.setNoDelay(true);
      end();
    });
    if (options.timeoutMillis <= 0) end(new ChannelError('ERR_TIMEOUT', 'no time to connect'));
  });
}

function hostOf(address: { host: string; port: number }): { host: string; port: number } {
  return { host: address.host === '' ? 'localhost' : address.host, port: address.port };
}

/** Calls `giveUp` once, when time is up or the caller aborts, unless stopped before. */
function watchOpening(
  options: DialOptions,
  giveUp: (error: ChannelError) => void,
): { stop(): void } {
  const { timeoutMillis, signal } = options;
  const timer = setTimeout(() => {
    giveUp(new ChannelError('ERR_TIMEOUT', `no answer within ${timeoutMillis} ms`));
  }, timeoutMillis);
  const abort = (): void => giveUp(new ChannelError('ERR_ABORTED', 'given up'));
  signal?.addEventListener('abort', abort, { once: true });
  return {
    stop(): void {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    },
  };
}

function checkAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new ChannelError('ERR_ABORTED', 'given up');
}
