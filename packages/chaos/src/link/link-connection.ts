import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import type { CutKind } from './frame-matcher.ts';
import {
  type ConnectionIdentity,
  type Direction,
  type Piece,
  type SeenFrame,
  WireReader,
} from './wire-reader.ts';

/** Where to cut: after so many more bytes. */
export interface CutPoint {
  bytesLeft: number;
  readonly cut: () => void;
}

/** A byte of a message that is to arrive as another. */
export interface Damage {
  /** In the message, header included. */
  readonly offset: number;
  readonly mask: number;
  readonly done: () => void;
}

/** What is to happen to whatever passes. */
export interface Traffic {
  /** Before the first byte of a message; it is not forwarded before this has resolved. */
  onFrame(frame: SeenFrame, connection: LinkConnection): Promise<CutPoint | undefined>;
  /** Before any bytes. @returns the cut that falls on them or right after them, if one does. */
  onBytes(lane: Lane, byteLength: number): CutPoint | undefined;
  /** @param offset of the bytes, in the message. @returns what is forwarded in their place. */
  alter(frame: SeenFrame, offset: number, bytes: Buffer): Buffer;
  /** As a message begins. @returns which byte of it is to be changed, if one is. */
  damageTo(frame: SeenFrame): Damage | undefined;
  /** Before any bytes are forwarded. @returns how many of them are to be written one at a time. */
  takeSingles(lane: Lane, byteLength: number): number;
  /** Before the end of one half is passed on to the other. */
  onEnd(direction: Direction): Promise<void>;
  /** Somebody did not speak the protocol. */
  onViolation(error: Error): void;
  readonly delayMillis: number;
  readonly bytesPerSecond: number;
}

/** One direction of a connection: reads messages, asks what to do, forwards. */
export class Lane {
  readonly direction: Direction;
  readonly connection: LinkConnection;
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #traffic: Traffic;
  readonly #reader: WireReader;
  /** In the message under way. */
  #cutPoint: CutPoint | undefined;
  #damage: Damage | undefined;
  /** Of the message under way. */
  #bytesPassed = 0;
  /** What has passed faster than it may. */
  #owedMillis = 0;
  /** What still comes is thrown away, so that a FIN stays a FIN. */
  #isCut = false;

  constructor(
    connection: LinkConnection,
    direction: Direction,
    ends: { from: Socket; to: Socket },
    traffic: Traffic,
  ) {
    this.connection = connection;
    this.direction = direction;
    this.#from = ends.from;
    this.#to = ends.to;
    this.#traffic = traffic;
    this.#reader = new WireReader(connection.identity, direction);
  }

  discard(): void {
    this.#isCut = true;
  }

  /** Resolves at the end of the direction, however it ends. */
  async run(): Promise<void> {
    try {
      const chunks = this.#from.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
      for await (const chunk of chunks) {
        if (this.#isCut) continue;
        await this.#slowDown(chunk.byteLength);
        for (const piece of this.#reader.push(chunk)) await this.#pass(piece);
      }
      await this.#forward(this.#reader.pending);
      await this.#traffic.onEnd(this.direction);
      if (this.#to.writable) this.#to.end();
    } catch (error) {
      // A half that breaks breaks the other one; what is no socket's failure is not the protocol.
      if (!isSocketError(error)) this.#traffic.onViolation(error as Error);
      if (!this.#isCut) await this.#traffic.onEnd(this.direction);
      this.connection.cut('rst');
    }
  }

  /** A timer is no finer than a millisecond: what is less adds up. */
  async #slowDown(byteLength: number): Promise<void> {
    const { delayMillis, bytesPerSecond } = this.#traffic;
    this.#owedMillis += bytesPerSecond > 0 ? (byteLength * 1000) / bytesPerSecond : 0;
    const millis = delayMillis + this.#owedMillis;
    if (millis < 1) return;
    this.#owedMillis = 0;
    await sleep(millis);
  }

  async #pass({ frame, bytes: original, begins }: Piece): Promise<void> {
    if (this.#isCut) return;
    if (begins) {
      this.#cutPoint = await this.#traffic.onFrame(frame, this.connection);
      this.#damage = this.#traffic.damageTo(frame);
      this.#bytesPassed = 0;
    }
    const bytes = this.#traffic.alter(frame, this.#bytesPassed, original);
    this.#doDamage(bytes);
    const inLane = this.#traffic.onBytes(this, bytes.byteLength);
    const cutPoint = earlier(this.#cutPoint, inLane);
    if (cutPoint !== undefined && cutPoint.bytesLeft <= bytes.byteLength) {
      await this.#forward(bytes.subarray(0, cutPoint.bytesLeft));
      if (!this.#isCut) cutPoint.cut();
      return;
    }
    if (this.#cutPoint !== undefined) this.#cutPoint.bytesLeft -= bytes.byteLength;
    await this.#forward(bytes);
  }

  async #forward(bytes: Buffer): Promise<void> {
    if (this.#isCut || bytes.byteLength === 0) return;
    const singles = this.#traffic.takeSingles(this, bytes.byteLength);
    for (let i = 0; i < singles; i += 1) {
      await this.#write(bytes.subarray(i, i + 1));
      await turn(); // whoever reads gets to see it alone
    }
    if (singles < bytes.byteLength) await this.#write(bytes.subarray(singles));
  }

  async #write(bytes: Buffer): Promise<void> {
    if (this.#isCut || !this.#to.writable) return;
    await new Promise<void>((resolve, reject) => {
      this.#to.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** The bytes are ours alone: a chunk that was read is not read again. */
  #doDamage(bytes: Buffer): void {
    const offset = (this.#damage?.offset ?? -1) - this.#bytesPassed;
    this.#bytesPassed += bytes.byteLength;
    if (this.#damage === undefined || offset < 0 || offset >= bytes.byteLength) return;
    bytes.writeUInt8(bytes.readUInt8(offset) ^ this.#damage.mask, offset);
    this.#damage.done();
    this.#damage = undefined;
  }
}

/** One connection between source and destination that passes through the proxy. */
export class LinkConnection {
  readonly identity: ConnectionIdentity;
  /** Both halves are closed and nothing is forwarded any more. */
  readonly closed: Promise<unknown>;
  readonly #sockets: readonly Socket[];
  readonly #lanes: readonly Lane[];

  /** @param ends connected sockets that may be half open. */
  constructor(index: number, ends: { source: Socket; destination: Socket }, traffic: Traffic) {
    const { source, destination } = ends;
    this.identity = { index, role: undefined, epoch: undefined };
    this.#sockets = [source, destination];
    for (const socket of this.#sockets) socket.on('error', () => undefined);
    this.#lanes = [
      new Lane(this, 'to-destination', { from: source, to: destination }, traffic),
      new Lane(this, 'to-source', { from: destination, to: source }, traffic),
    ];
    this.closed = Promise.all([
      ...this.#lanes.map((lane) => lane.run()),
      ...this.#sockets.map((socket) => closeOf(socket)),
    ]);
  }

  /** `rst` tells both sides at once, `fin` lets them read what was forwarded and then the end. */
  cut(kind: CutKind): void {
    for (const lane of this.#lanes) lane.discard();
    for (const socket of this.#sockets) {
      if (kind === 'rst') reset(socket);
      else if (socket.writable) socket.end();
    }
  }
}

/**
 * A unix socket has no RST; there it is the close. So it is where a FIN is on its way: libuv refuses a reset
 * then, and the socket would stay open for good.
 */
export function reset(socket: Socket): void {
  if (socket.destroyed) return;
  if (socket.remoteFamily === undefined || socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

function earlier(a: CutPoint | undefined, b: CutPoint | undefined): CutPoint | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a.bytesLeft <= b.bytesLeft ? a : b;
}

async function closeOf(socket: Socket): Promise<void> {
  if (!socket.closed) await once(socket, 'close').catch(() => undefined);
}

function isSocketError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.name !== 'ChannelError';
}
