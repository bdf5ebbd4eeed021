import { TLS_HANDSHAKE } from '../opening-socket.ts';

/** A client's first word is some hundred bytes, with keys against quantum computers up to two thousand. */
export const CLIENT_HELLO_BYTES_MAX = 4096;

const RECORD_HEADER_BYTES = 5;
const MESSAGE_HEADER_BYTES = 4;
const CLIENT_HELLO = 1;

/**
 * How much of a client's first word of TLS has come (RFC 8446, sections 4 and 5.1): one message, alone in
 * one record. What it says is for TLS to judge.
 *
 * @param bytes at least one.
 */
export function lookAtHello(bytes: Buffer): 'whole' | 'part' | 'none' {
  if (bytes[0] !== TLS_HANDSHAKE) return 'none';
  if (bytes.byteLength < RECORD_HEADER_BYTES + MESSAGE_HEADER_BYTES) return 'part';
  const recordBytes = bytes.readUInt16BE(3);
  const messageBytes = bytes.readUIntBE(RECORD_HEADER_BYTES + 1, 3);
  const isHello =
    bytes[1] === 3 &&
    recordBytes <= CLIENT_HELLO_BYTES_MAX &&
    bytes[RECORD_HEADER_BYTES] === CLIENT_HELLO &&
    messageBytes === recordBytes - MESSAGE_HEADER_BYTES;
  if (!isHello) return 'none';
  return bytes.byteLength < RECORD_HEADER_BYTES + recordBytes ? 'part' : 'whole';
}
