/** Bit 0 of a frame's flags. */
export const CHECKED_FLAG = 0x01;

const FLAGS_OFFSET = 1;
const CHECK_OFFSET = 14;
const COUNT_OFFSET = 16;
const CHECKSUM_OFFSET = 20;

const POLYNOMIAL = 0x1021;
const INITIAL = 0xffff;

/** What eight steps of the division do to the upper byte. */
const table = Uint16Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte << 8;
  for (let bit = 0; bit < 8; bit++) {
    remainder = (remainder << 1) ^ (remainder & 0x8000 ? POLYNOMIAL : 0);
  }
  return remainder;
});

/**
 * Makes a checked frame of one that is encoded: sets the flag, the checksum of the body, and the check of
 * the header, which has the place of the two highest bytes of the first page.
 */
export function sealFrameHeader(into: DataView, offset: number, checksum: number): void {
  into.setUint8(offset + FLAGS_OFFSET, CHECKED_FLAG);
  into.setUint32(offset + CHECKSUM_OFFSET, checksum, true);
  into.setUint16(offset + CHECK_OFFSET, headerCheck(into, offset), true);
}

/** Is the header as it was sealed? Its checksum field is the body's affair. */
export function isHeaderIntact(from: DataView, offset: number): boolean {
  return from.getUint16(offset + CHECK_OFFSET, true) === headerCheck(from, offset);
}

/**
 * CRC-16/IBM-3740 (polynomial 0x1021, from 0xffff) of bytes 0 to 13 and 16 to 19: any three wrong bits
 * are noticed, and any sixteen side by side within these bytes.
 */
function headerCheck(from: DataView, offset: number): number {
  let remainder = INITIAL;
  for (let at = 0; at < CHECKSUM_OFFSET; at++) {
    if (at === CHECK_OFFSET) at = COUNT_OFFSET;
    const byte = from.getUint8(offset + at);
    remainder = ((remainder << 8) & 0xffff) ^ (table[(remainder >>> 8) ^ byte] as number);
  }
  return remainder;
}
