import { decode } from '@msgpack/msgpack';
import { type Direction, frameTypeName, openingBytes, openingOf } from '@godwit/chaos';
import { FRAME_HEADER_BYTES, FrameType } from '@godwit/transport';

/** One message of the wire, whole: of an opening, or a frame with its body. */
export interface Message {
  /** `hello`, a frame type, or what a control message calls itself. */
  readonly name: string;
  readonly isFrame: boolean;
  readonly bytes: Buffer;
}

const BODY_BYTES_MAX = 128 * 1024 * 1024;

/**
 * Cuts one direction of one connection into messages, by docs/PROTOCOL.md and without the engine's own
 * decoders: what those get wrong would be wrong in the judgement as well. Unlike the reader of a link it
 * takes whatever comes for a frame, and waits for all of it.
 */
export class WireCutter {
  readonly #opening: ReturnType<typeof openingOf>;
  #pending: Buffer = Buffer.alloc(0);

  constructor(direction: Direction) {
    this.#opening = openingOf(direction);
  }

  /** Bytes that are no whole message yet. */
  get pendingBytes(): number {
    return this.#pending.byteLength;
  }

  push(chunk: Uint8Array): Message[] {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    const messages: Message[] = [];
    for (;;) {
      const byteLength = this.#byteLength(this.#pending);
      if (this.#pending.byteLength < byteLength) return messages;
      messages.push(this.#name(this.#pending.subarray(0, byteLength)));
      this.#pending = this.#pending.subarray(byteLength);
    }
  }

  /** Of the message that begins here; more than there is, where its length is not known yet. */
  #byteLength(bytes: Buffer): number {
    const [opening] = this.#opening;
    if (opening !== undefined) return openingBytes(opening, bytes);
    if (bytes.byteLength < FRAME_HEADER_BYTES) return FRAME_HEADER_BYTES;
    return FRAME_HEADER_BYTES + Math.min(bytes.readUInt32LE(4), BODY_BYTES_MAX);
  }

  #name(bytes: Buffer): Message {
    const opening = this.#opening.shift();
    if (opening !== undefined) return { name: opening, isFrame: false, bytes };
    return { name: frameName(bytes), isFrame: true, bytes };
  }
}

/** What a frame calls itself; a control message by its `t`. */
export function frameName(frame: Buffer): string {
  const type = frame.readUInt8(0);
  const word = controlOf(frame)?.['t'];
  if (type === FrameType.CONTROL) return typeof word === 'string' ? word : 'CONTROL';
  return frameTypeName(type) ?? `0x${type.toString(16)}`;
}

/** What a control frame says, if anything can be read from it. */
export function controlOf(frame: Buffer): Record<string, unknown> | undefined {
  if (frame.readUInt8(0) !== FrameType.CONTROL) return undefined;
  try {
    const value: unknown = decode(frame.subarray(FRAME_HEADER_BYTES));
    const isMap = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isMap ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
