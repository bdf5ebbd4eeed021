import {
  type ControlType,
  decodeControl,
  FRAME_HEADER_BYTES,
  FrameType,
  type Role,
} from '@godwit/transport';

export type Direction = 'to-destination' | 'to-source';

type PlainFrameName = Exclude<keyof typeof FrameType, 'CONTROL'>;

/** What a message on the wire is called: the opening's three, frame types, and control messages by `t`. */
export type FrameName = OpeningName | PlainFrameName | ControlType;

/** A connection as the wire tells of it: role and epoch are known once the hello has passed. */
export interface ConnectionIdentity {
  readonly index: number;
  role: Role | undefined;
  epoch: number | undefined;
}

/** One message, as soon as its name is known. */
export interface SeenFrame {
  readonly connection: ConnectionIdentity;
  readonly direction: Direction;
  readonly name: FrameName;
  /** Header and body. */
  readonly byteLength: number;
  readonly firstPage: number;
  readonly pageCount: number;
}

/** Some bytes of a message, in order; pages come in many pieces, everything else in one. */
export interface Piece {
  readonly frame: SeenFrame;
  readonly bytes: Buffer;
  readonly begins: boolean;
}

/** docs/PROTOCOL.md, section 2. */
export const GREETING_BYTES = 32;
export const HELLO_BYTES = 96;
export const ANSWER_BYTES = 48;

/** What precedes the frames. */
export type OpeningName = 'greeting' | 'hello' | 'answer';

const roleNames: Readonly<Record<number, Role>> = { 1: 'main', 2: 'urgent', 3: 'page' };
const frameNames = new Map<number, keyof typeof FrameType>(
  // The entries of an object whose keys are exactly these.
  Object.entries(FrameType).map(([name, type]) => [type, name as keyof typeof FrameType]),
);

/**
 * Cuts one direction of one connection into its messages, by docs/PROTOCOL.md and without the engine's
 * own reader: a proxy that shared its mistakes would not see them.
 */
export class WireReader {
  readonly #connection: ConnectionIdentity;
  readonly #direction: Direction;
  /** What has come of a message whose name is not known yet. */
  #pending: Buffer = Buffer.alloc(0);
  readonly #opening: OpeningName[];
  #current: SeenFrame | undefined;
  #bodyBytesLeft = 0;

  constructor(connection: ConnectionIdentity, direction: Direction) {
    this.#connection = connection;
    this.#direction = direction;
    this.#opening = openingOf(direction);
  }

  /** Bytes that are not a message yet; a connection may end with them. */
  get pending(): Buffer {
    return this.#pending;
  }

  /** @throws what is said here is not the protocol. */
  *push(chunk: Buffer): Generator<Piece> {
    let rest = chunk;
    while (rest.byteLength > 0) {
      if (this.#current !== undefined && this.#bodyBytesLeft > 0) {
        const bytes = rest.subarray(0, this.#bodyBytesLeft);
        this.#bodyBytesLeft -= bytes.byteLength;
        rest = rest.subarray(bytes.byteLength);
        yield { frame: this.#current, bytes, begins: false };
        continue;
      }
      const bytes = Buffer.concat([this.#pending, rest]);
      const needed = this.#bytesToBegin(bytes);
      if (bytes.byteLength < needed) {
        this.#pending = bytes;
        return;
      }
      this.#pending = Buffer.alloc(0);
      rest = bytes.subarray(needed);
      yield this.#begin(bytes.subarray(0, needed));
    }
  }

  /** How many bytes it takes to say what this message is. */
  #bytesToBegin(bytes: Buffer): number {
    const [opening] = this.#opening;
    if (opening !== undefined) return openingBytes(opening, bytes);
    if (bytes.byteLength < FRAME_HEADER_BYTES) return FRAME_HEADER_BYTES;
    if (bytes.readUInt8(0) !== FrameType.CONTROL) return FRAME_HEADER_BYTES;
    return FRAME_HEADER_BYTES + bytes.readUInt32LE(4);
  }

  #begin(bytes: Buffer): Piece {
    const opening = this.#opening.shift();
    if (opening !== undefined) {
      if (opening === 'hello') {
        this.#connection.role = roleOf(bytes);
        this.#connection.epoch = bytes.readUInt32LE(12);
      }
      const frame = this.#frame(opening, bytes.byteLength, 0, 0);
      return { frame, bytes, begins: true };
    }
    const name = nameOf(bytes);
    const byteLength = FRAME_HEADER_BYTES + bytes.readUInt32LE(4);
    const isChecked = (bytes.readUInt8(1) & 1) === 1; // then two bytes of it are the header's check
    const firstPage = isChecked ? bytes.readUIntLE(8, 6) : Number(bytes.readBigUInt64LE(8));
    const frame = this.#frame(name, byteLength, firstPage, bytes.readUInt32LE(16));
    this.#current = frame;
    this.#bodyBytesLeft = byteLength - bytes.byteLength;
    return { frame, bytes, begins: true };
  }

  #frame(name: FrameName, byteLength: number, firstPage: number, pageCount: number): SeenFrame {
    const connection = this.#connection;
    return { connection, direction: this.#direction, name, byteLength, firstPage, pageCount };
  }
}

/** What comes this way before the first frame, in order. */
export function openingOf(direction: Direction): OpeningName[] {
  return direction === 'to-source' ? ['greeting', 'answer'] : ['hello'];
}

/** @returns its length; of an answer of which too little is here to tell, what it takes to tell. */
export function openingBytes(name: OpeningName, bytes: Buffer): number {
  if (name === 'greeting') return GREETING_BYTES;
  if (name === 'hello') return HELLO_BYTES;
  if (bytes.byteLength < ANSWER_BYTES) return ANSWER_BYTES;
  return ANSWER_BYTES + bytes.readUInt16LE(10);
}

/** What the connection is for, as this hello says; nothing, if it says what is not the protocol. */
export function roleOf(hello: Buffer): Role | undefined {
  return roleNames[hello.readUInt8(10)];
}

/** By docs/PROTOCOL.md; a control message is a CONTROL here. */
export function frameTypeName(type: number): keyof typeof FrameType | undefined {
  return frameNames.get(type);
}

function nameOf(bytes: Buffer): FrameName {
  const type = bytes.readUInt8(0);
  if (type === FrameType.CONTROL) return decodeControl(bytes.subarray(FRAME_HEADER_BYTES)).t;
  const name = frameTypeName(type);
  if (name === undefined) throw new Error(`frame type 0x${type.toString(16)} on the link`);
  return name as PlainFrameName;
}
