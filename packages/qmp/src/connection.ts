import type { Socket } from 'node:net';

import { checkArguments } from './arguments.ts';
import type { ClientHandle } from './command-table.ts';
import { QmpError } from './errors.ts';
import { JsonSplitter, type JsonPiece } from './json-lines.ts';
import { encodeMessage, errorReply, greeting, type QmpVersion } from './messages.ts';
import { encodeReply, looksOutOfBand, parseRequest, toQmpError } from './request.ts';

/** Commands of one client that wait; it is not read from while there are so many. As QEMU's
 * QMP_REQ_QUEUE_LEN_MAX (monitor/monitor-internal.h). */
export const QUEUE_LENGTH_MAX = 8;
/**
 * Bytes of commands of one client that wait or run, as they were sent; it is not read from while there
 * are more. Parsed, a value may take thirty times its bytes.
 */
export const PENDING_BYTES_MAX = 256 * 1024;
/** Out-of-band commands of one client that run; as above. */
export const OOB_RUNNING_MAX = 8;
/** Replies and events a client has not read; one that leaves more behind is disconnected. */
export const OUTPUT_BYTES_MAX = 4 * 1024 * 1024;
/** How long a client may take to read its last replies once we have closed our side. */
export const LINGER_MILLIS = 1_000;

/** What a connection needs of the server. */
export interface ConnectionHost {
  readonly version: QmpVersion;
  /** Calls `connection.runNext()` once, when its turn has come. */
  schedule(connection: Connection): void;
  /** Runs a request, checked or not, and sends the reply; never rejects. */
  answer(value: unknown, connection: Connection): Promise<void>;
}

/** What waits for its turn: a request, or the answer to something that was none. */
type Waiting =
  | { readonly type: 'request'; readonly value: unknown; readonly byteLength: number }
  | { readonly type: 'error'; readonly error: QmpError };

/**
 * One client. Its in-band commands run in the order they came and their replies leave in that
 * order, errors about bytes that are no JSON included. At most one turn of the server's queue is
 * taken at a time, so that clients take turns (as QEMU's monitor_qmp_requests_pop_any does).
 *
 * A client that closes its sending side still gets the replies to what it has sent. One that is
 * gone loses the replies; its commands run all the same, since a reply lost on the way looks no
 * different to it.
 */
export class Connection implements ClientHandle {
  readonly id: number;
  readonly #socket: Socket;
  readonly #transport: 'tcp' | 'unix';
  readonly #host: ConnectionHost;
  readonly #splitter = new JsonSplitter();
  readonly #waiting: Waiting[] = [];
  /** A turn in the server's queue is taken, or running. */
  #scheduled = false;
  /** Commands under way, out-of-band ones included. */
  #running = 0;
  #oobRunning = 0;
  /** Of the commands that wait and of those under way. */
  #pendingBytes = 0;
  /** Nothing more will come; when all is answered, our side closes too. */
  #inputEnded = false;
  #closing = false;
  #negotiated = false;
  #oobEnabled = false;

  constructor(socket: Socket, transport: 'tcp' | 'unix', id: number, host: ConnectionHost) {
    this.id = id;
    this.#transport = transport;
    this.#socket = socket;
    this.#host = host;
    socket.on('data', (chunk: Uint8Array) => {
      this.#splitter.append(chunk);
      this.#read();
    });
    socket.on('end', () => this.#endInput());
    // A client that broke off is its own business; 'close' follows and ends what is to end.
    socket.on('error', () => undefined);
    this.send(encodeMessage(greeting(host.version)));
  }

  get negotiated(): boolean {
    return this.#negotiated;
  }

  get oobEnabled(): boolean {
    return this.#oobEnabled;
  }

  /** The limit is checked before the line is added: one long reply to a good reader passes. */
  send(line: string): void {
    if (!this.#socket.writable) return;
    if (this.#socket.writableLength > OUTPUT_BYTES_MAX) this.#socket.destroy();
    else this.#socket.write(line);
  }

  /** Called by the host when the turn has come that `schedule` asked for. */
  async runNext(): Promise<void> {
    const next = this.#waiting.shift();
    this.#read();
    if (next?.type === 'request') await this.#answer(next);
    if (next?.type === 'error') this.send(encodeMessage(errorReply(next.error)));
    this.#scheduled = false;
    this.#read(); // a long one may have left no room for others
    if (this.#waiting.length > 0) this.#schedule();
    this.#closeWhenAnswered();
  }

  /** Whether more may be taken in: what one client makes us hold is bounded. */
  get #hasRoom(): boolean {
    return (
      this.#waiting.length < QUEUE_LENGTH_MAX &&
      this.#oobRunning < OOB_RUNNING_MAX &&
      this.#pendingBytes < PENDING_BYTES_MAX
    );
  }

  /** Forgets what waits, sends what is written and closes. */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#waiting.length = 0;
    this.#socket.end();
    // Bytes still coming in are thrown away: closing over them would reset the connection and
    // could cost the client its last replies.
    this.#splitter.stop();
    this.#socket.resume();
    const linger = setTimeout(() => this.#socket.destroy(), LINGER_MILLIS);
    this.#socket.once('close', () => clearTimeout(linger));
  }

  /** Takes in what has arrived, as far as there is room. */
  #read(): void {
    while (this.#hasRoom) {
      const piece = this.#splitter.next();
      if (piece === undefined) {
        this.#socket.resume();
        return;
      }
      this.#accept(piece);
    }
    this.#socket.pause();
  }

  #accept(piece: JsonPiece): void {
    switch (piece.type) {
      case 'value':
        if (!this.#negotiated) this.send(this.#negotiate(piece.value));
        else if (looksOutOfBand(piece.value)) void this.#answerOutOfBand(piece);
        else this.#waitForTurn(piece);
        return;
      case 'malformed':
        this.#refuse(piece.reason);
        // Any web page can make a browser POST to a port of this machine, with commands in the
        // body. The first line of HTTP is no JSON, so that is as far as it gets.
        if (!this.#negotiated && this.#transport === 'tcp') this.#stopReading();
        return;
      case 'too-long':
        this.#refuse(piece.reason);
        this.#stopReading();
        return;
      default:
        return neverPiece(piece);
    }
  }

  /**
   * Answers at once, past the queue: it touches nothing but this client, and whoever connects to
   * break a hanging command must get as far as sending one out of band.
   */
  #negotiate(value: unknown): string {
    try {
      const request = parseRequest(value, false);
      if (request.command !== 'qmp_capabilities') {
        const desc = "Expecting capabilities negotiation with 'qmp_capabilities'";
        throw new QmpError('CommandNotFound', desc);
      }
      checkArguments(capabilitiesArguments, request.arguments);
      const enable = request.arguments['enable'];
      this.#oobEnabled = Array.isArray(enable) && enable.includes('oob');
      this.#negotiated = true;
      return encodeReply({ return: {} }, value);
    } catch (error) {
      return encodeReply(errorReply(toQmpError(error)), value);
    }
  }

  /** In its place among the replies: it has no id, only the order tells what it is about. */
  #refuse(reason: string): void {
    const error = new QmpError('GenericError', reason);
    if (this.#negotiated) this.#wait({ type: 'error', error });
    else this.send(encodeMessage(errorReply(error)));
  }

  #wait(item: Waiting): void {
    this.#waiting.push(item);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#host.schedule(this);
  }

  async #answerOutOfBand(piece: JsonPiece & { type: 'value' }): Promise<void> {
    this.#oobRunning += 1;
    this.#pendingBytes += piece.byteLength;
    await this.#answer(piece);
    this.#oobRunning -= 1;
    this.#read();
  }

  #waitForTurn({ value, byteLength }: JsonPiece & { type: 'value' }): void {
    this.#pendingBytes += byteLength;
    this.#wait({ type: 'request', value, byteLength });
  }

  /** @param request counted among the pending bytes, until it is answered. */
  async #answer(request: { readonly value: unknown; readonly byteLength: number }): Promise<void> {
    const { value, byteLength } = request;
    this.#running += 1;
    await this.#host.answer(value, this);
    this.#running -= 1;
    this.#pendingBytes -= byteLength;
    this.#closeWhenAnswered();
  }

  #stopReading(): void {
    this.#splitter.stop();
    this.#endInput();
  }

  #endInput(): void {
    this.#inputEnded = true;
    this.#closeWhenAnswered();
  }

  #closeWhenAnswered(): void {
    const answered = this.#waiting.length === 0 && this.#running === 0 && !this.#scheduled;
    if (this.#inputEnded && answered) this.close();
  }
}

/** Of qmp_capabilities. */
export const capabilitiesArguments = {
  enable: { type: 'list', of: { type: 'str', values: ['oob'] }, optional: true },
} as const;

function neverPiece(piece: never): never {
  throw new TypeError(`no such piece: ${JSON.stringify(piece)}`);
}
