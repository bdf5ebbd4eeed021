import { read } from 'node:fs';
import { promisify } from 'node:util';
import { pageBytes } from '@godwit/posix';
import {
  decodeFrameHeader,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  newFrameHeader,
} from '@godwit/transport';

const readDescriptor = promisify(read);

/** Frames as a peer of the test's own reads them, without blocking the test's thread. */
export class FrameStream {
  readonly #descriptor: number;
  readonly #limits: { readonly pageBytes: number; readonly blockPages: readonly number[] };

  constructor(descriptor: number, blockPages: readonly number[]) {
    this.#descriptor = descriptor;
    this.#limits = { pageBytes, blockPages };
  }

  /** Reads no byte more than the frame has. */
  async next(): Promise<{ readonly header: FrameHeader; readonly body: Uint8Array }> {
    const head = await this.#read(FRAME_HEADER_BYTES);
    const header = newFrameHeader();
    decodeFrameHeader(new DataView(head.buffer), 0, header, this.#limits);
    return { header, body: await this.#read(header.bodyBytes) };
  }

  async #read(byteLength: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(byteLength);
    for (let at = 0; at < byteLength;) {
      const { bytesRead } = await readDescriptor(
        this.#descriptor,
        bytes,
        at,
        byteLength - at,
        null,
      );
      if (bytesRead === 0) throw new Error('the other side has closed the connection');
      at += bytesRead;
    }
    return bytes;
  }
}
