import { ScratchBuffer } from '@godwit/posix';
import {
  encodeFrameHeader,
  FRAME_HEADER_BYTES,
  FrameType,
  sealFrameHeader,
  writeBytes,
} from '@godwit/transport';

/** The heartbeat of one channel, written by the thread that writes to it, between two frames. */
export class Heartbeat {
  readonly #frame = new ScratchBuffer(FRAME_HEADER_BYTES);
  readonly #view: DataView;
  #descriptor = -1;
  #intervalMillis = 0;
  #dueMillis = Infinity;

  constructor() {
    const { bytes } = this.#frame;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    encodeFrameHeader(this.#view, 0, FrameType.HEARTBEAT, 0, 0, 0, 0);
  }

  /** With `x-checksum`: those from here on are checked frames. */
  seal(): void {
    sealFrameHeader(this.#view, 0, 0);
  }

  /** The first is due an interval from now. @param intervalMillis 0: none. */
  start(descriptor: number, intervalMillis: number, nowMillis: number): void {
    this.#descriptor = descriptor;
    this.#intervalMillis = intervalMillis;
    const isOn = descriptor >= 0 && intervalMillis > 0;
    this.#dueMillis = isOn ? nowMillis + intervalMillis : Infinity;
  }

  stop(): void {
    this.start(-1, 0, 0);
  }

  /** How long there is nothing to do; Infinity where there are none. */
  restMillis(nowMillis: number): number {
    return Math.max(0, this.#dueMillis - nowMillis);
  }

  /** Writes one if it is time. @throws {ChannelError} `ERR_CLOSED`; there are no more then. */
  beat(nowMillis: number): void {
    if (nowMillis < this.#dueMillis) return;
    this.#dueMillis = Infinity;
    this.write(this.#descriptor);
    this.#dueMillis = nowMillis + this.#intervalMillis;
  }

  /** @throws {ChannelError} `ERR_CLOSED`. */
  write(descriptor: number): void {
    writeBytes(descriptor, this.#frame.address, FRAME_HEADER_BYTES);
  }
}
