import assert from 'node:assert/strict';
import { copyMemory, ScratchBuffer } from '@godwit/posix';
import { ChannelError } from '../errors.ts';
import { checksumOf } from './checksum.ts';
import {
  decodeFrameHeader,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  type FrameLimits,
  newFrameHeader,
} from './frame.ts';

/** Up to `byteLength` bytes to `address`; 0 at the end of the stream. May block; may throw. */
export type ByteSource = (address: number, byteLength: number) => number;

/**
 * Cuts a stream of bytes into frames. Bodies are consumed in the way that suits them: small ones as
 * a copy, pages straight into memory (`readInto`), or as they come (`stage`), so that a page is never
 * copied more often than its placing needs.
 */
export class FrameReader {
  /** Of the current frame; overwritten by `next`. */
  readonly header: FrameHeader = newFrameHeader();
  /**
   * How much is read at once while looking for a header: what is read ahead of a large body must be
   * copied once more. May be changed between two frames.
   */
  readAheadBytes: number;
  /** Bytes of the current body not consumed yet. */
  bodyBytesLeft = 0;
  readonly #source: ByteSource;
  readonly #staging: ScratchBuffer;
  readonly #view: DataView;
  #start = 0;
  #end = 0;
  #isChecked = false;

  /** @param stagingBytes room for what was read and is not consumed. */
  constructor(source: ByteSource, stagingBytes: number, readAheadBytes = stagingBytes) {
    this.#source = source;
    this.#staging = new ScratchBuffer(stagingBytes);
    const { bytes } = this.#staging;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.readAheadBytes = readAheadBytes;
  }

  /** Forgets what was staged: the stream is another one now. */
  reset(): void {
    this.#start = 0;
    this.#end = 0;
    this.bodyBytesLeft = 0;
  }

  /**
   * Reads the next header; the body of the one before must have been consumed.
   *
   * @returns false at the end of the stream, between two frames.
   * @throws {ChannelError} `ERR_PROTOCOL` as `decodeFrameHeader`; `ERR_CLOSED` within a frame.
   */
  next(limits: FrameLimits): boolean {
    assert.equal(this.bodyBytesLeft, 0);
    if (!this.#fill(FRAME_HEADER_BYTES)) {
      if (this.#end > this.#start) throw endedWithin();
      return false;
    }
    decodeFrameHeader(this.#view, this.#start, this.header, limits);
    this.#start += FRAME_HEADER_BYTES;
    this.bodyBytesLeft = this.header.bodyBytes;
    this.#isChecked = limits.checked === true;
    return true;
  }

  /**
   * The whole body as a copy: for control, bitmaps, device state.
   *
   * @throws {ChannelError} `ERR_CHECKSUM`: the frame is a checked one, and the body was damaged.
   */
  readBody(): Uint8Array {
    const body = new Uint8Array(this.bodyBytesLeft);
    for (let at = 0; at < body.byteLength;) {
      const address = this.stage(1);
      const bytes = Math.min(this.stagedBytes, this.bodyBytesLeft);
      const offset = address - this.#staging.address;
      body.set(this.#staging.bytes.subarray(offset, offset + bytes), at);
      this.consume(bytes);
      at += bytes;
    }
    if (this.#isChecked && checksumOf(body) !== this.header.checksum) throw damaged(this.header);
    return body;
  }

  /**
   * The whole body, which fits into the staging, as a view of it: valid until more is read. `consume`
   * follows.
   */
  stageBody(): Uint8Array {
    const byteLength = this.bodyBytesLeft;
    const offset = this.stage(byteLength) - this.#staging.address;
    return this.#staging.bytes.subarray(offset, offset + byteLength);
  }

  /** The whole body to `address`, past the staging wherever nothing is staged yet. */
  readInto(address: number): void {
    const staged = Math.min(this.stagedBytes, this.bodyBytesLeft);
    if (staged > 0) copyMemory(address, this.#staging.address + this.#start, staged);
    this.consume(staged);
    let to = address + staged;
    while (this.bodyBytesLeft > 0) {
      const bytes = this.#source(to, this.bodyBytesLeft);
      if (bytes === 0) throw endedWithin();
      this.bodyBytesLeft -= bytes;
      to += bytes;
    }
  }

  /** Drops what is left of the body. */
  skipBody(): void {
    while (this.bodyBytesLeft > 0) {
      this.stage(1);
      this.consume(Math.min(this.stagedBytes, this.bodyBytesLeft));
    }
  }

  /** Bytes that are here already: of this body, and perhaps of frames after it. */
  get stagedBytes(): number {
    return this.#end - this.#start;
  }

  /** Makes at least `byteLength` bytes of the body available. @returns where they are. */
  stage(byteLength: number): number {
    if (!this.#fill(byteLength)) throw endedWithin();
    return this.#staging.address + this.#start;
  }

  consume(byteLength: number): void {
    this.#start += byteLength;
    this.bodyBytesLeft -= byteLength;
  }

  /** @returns false when the stream ends before `byteLength` bytes are staged. */
  #fill(byteLength: number): boolean {
    const capacity = this.#staging.byteLength;
    assert(byteLength <= capacity);
    if (this.#start === this.#end) this.#start = this.#end = 0;
    if (this.#start + byteLength > capacity) this.#compact();
    while (this.#end - this.#start < byteLength) {
      const room = Math.min(capacity - this.#end, Math.max(this.readAheadBytes, byteLength));
      const bytes = this.#source(this.#staging.address + this.#end, room);
      if (bytes === 0) return false;
      this.#end += bytes;
    }
    return true;
  }

  #compact(): void {
    this.#staging.bytes.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
  }
}

function damaged({ type, bodyBytes }: FrameHeader): ChannelError {
  const what = `the body of ${bodyBytes} bytes of a frame of type 0x${type.toString(16)}`;
  return new ChannelError('ERR_CHECKSUM', `${what} was damaged on its way`);
}

function endedWithin(): ChannelError {
  return new ChannelError('ERR_CLOSED', 'the link ended within a frame');
}
