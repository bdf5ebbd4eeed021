import { addressOf } from './libc.ts';

/**
 * Memory that system calls read and write, and JavaScript as well: the store of an ArrayBuffer, which
 * V8 never moves and which goes with its owner, the end of a Worker included. So `address` is valid
 * only while this object is reachable: keep the object, never only its address. Not page-aligned.
 */
export class ScratchBuffer {
  readonly address: number;
  readonly byteLength: number;
  readonly bytes: Uint8Array<ArrayBuffer>;

  constructor(byteLength: number) {
    const buffer = new ArrayBuffer(byteLength);
    this.address = addressOf(buffer);
    this.byteLength = byteLength;
    this.bytes = new Uint8Array(buffer);
  }

  /**
   * It is reachable up to here. Without a use after the last one of `address` compiled code lets go of a
   * local one before, in the middle of a loop too, and a collection gives its memory back under whoever
   * has the address. The store is one that no compiler may leave out.
   */
  keep(): void {
    if (this.byteLength > 0) this.bytes[0] = 0;
  }
}
