import assert from 'node:assert/strict';
import { IoVector, ScratchBuffer } from '@godwit/posix';
import { encodeFrameHeader, FRAME_HEADER_BYTES, type FrameType } from './frame.ts';
import { sealFrameHeader } from './header-check.ts';

/** Two ranges a frame, header and body, within the 1024 that one writev takes. */
const FRAMES_MAX = 512;

/**
 * Frames that leave in one `writev`: headers from scratch memory, pages straight from where they are.
 */
export class FrameBatch {
  readonly vector = new IoVector(FRAMES_MAX * 2);
  /** Ranges set in `vector`. */
  ranges = 0;
  /** Bytes of all ranges, headers included. */
  byteLength = 0;
  #frames = 0;
  readonly #headers = new ScratchBuffer(FRAMES_MAX * FRAME_HEADER_BYTES);
  readonly #view: DataView;

  constructor() {
    const { bytes } = this.#headers;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get isFull(): boolean {
    return this.#frames === FRAMES_MAX;
  }

  clear(): void {
    this.ranges = 0;
    this.byteLength = 0;
    this.#frames = 0;
  }

  /**
   * @param address of the body, which must stay as it is until the batch is written; unused if empty.
   * @param checksum of the body, 0 if empty: makes a checked frame of it.
   */
  add(
    type: FrameType,
    block: number,
    firstPage: number,
    pageCount: number,
    address: number,
    bodyBytes: number,
    checksum?: number,
  ): void {
    assert(this.#frames < FRAMES_MAX);
    const offset = this.#frames * FRAME_HEADER_BYTES;
    encodeFrameHeader(this.#view, offset, type, block, firstPage, pageCount, bodyBytes);
    if (checksum !== undefined) sealFrameHeader(this.#view, offset, checksum);
    this.vector.set(this.ranges++, this.#headers.address + offset, FRAME_HEADER_BYTES);
    if (bodyBytes > 0) this.vector.set(this.ranges++, address, bodyBytes);
    this.byteLength += FRAME_HEADER_BYTES + bodyBytes;
    this.#frames += 1;
  }
}
