import assert from 'node:assert/strict';
import { addressOf } from './libc.ts';

const WORD_RANGE = 2 ** 32;

/**
 * Memory for structs that the kernel reads and writes, with its address.
 *
 * It is the store of an ArrayBuffer, which V8 never moves and frees with its owner, the end of a
 * Worker included. So `address` is valid only while this object is reachable: keep it in a field,
 * never only its address.
 *
 * Fields are little-endian (x86-64 and arm64 are) and at their natural alignment. 64-bit fields are
 * written and read as two halves, as numbers: a BigInt would be an allocation per field.
 */
export class StructMemory {
  readonly address: number;
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;

  constructor(byteLength: number) {
    // Rounded up, so that no view ends in the middle of an element.
    const buffer = new ArrayBuffer(Math.ceil(byteLength / 8) * 8);
    this.address = addressOf(buffer);
    this.u8 = new Uint8Array(buffer);
    this.u16 = new Uint16Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.i32 = new Int32Array(buffer);
  }

  /** @param value from 0 to 2^53. */
  writeU64(offset: number, value: number): void {
    this.u32[offset >>> 2] = value; // a typed array keeps the low 32 bits
    this.u32[(offset >>> 2) + 1] = value / WORD_RANGE;
  }

  /** Exact up to 2^53. */
  readU64(offset: number): number {
    return (this.u32[(offset >>> 2) + 1] ?? 0) * WORD_RANGE + (this.u32[offset >>> 2] ?? 0);
  }

  /** Exact between -2^53 and 2^53. */
  readI64(offset: number): number {
    return (this.i32[(offset >>> 2) + 1] ?? 0) * WORD_RANGE + (this.u32[offset >>> 2] ?? 0);
  }
}

/**
 * The offsets, in bytes, of a struct whose fields all have 64 bits, as all ioctls here take.
 *
 * @param byteLength the size by the kernel's header, which the ioctl's number carries too.
 */
export function layoutU64<Field extends string>(
  byteLength: number,
  fields: readonly Field[],
): Readonly<Record<Field, number>> {
  assert.equal(fields.length * 8, byteLength, fields.join());
  const offsets = fields.map((field, index) => [field, index * 8]);
  return Object.fromEntries(offsets) as Record<Field, number>; // one entry of each field
}
