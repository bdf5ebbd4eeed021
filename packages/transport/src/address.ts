import { isIPv6 } from 'node:net';
import { ChannelError } from './errors.ts';

/** Where a side listens or dials, as QEMU writes it: `tcp:HOST:PORT`, `unix:PATH`. */
export type Address =
  | { readonly type: 'tcp'; readonly host: string; readonly port: number }
  | { readonly type: 'unix'; readonly path: string };

/** sun_path holds 108 bytes with its terminator (unix(7)); a longer one is cut by libc, not refused. */
const UNIX_PATH_BYTES_MAX = 107;

/**
 * @param text `tcp:HOST:PORT` (IPv6 in brackets, an empty host means every address, port 0 any free
 *   one) or `unix:PATH`.
 * @throws {ChannelError} `ERR_ADDRESS`, saying which part is wrong.
 */
export function parseAddress(text: string): Address {
  if (text.startsWith('unix:')) return parseUnix(text.slice('unix:'.length), text);
  if (text.startsWith('tcp:')) return parseTcp(text.slice('tcp:'.length), text);
  throw refuse(text, 'it must begin with tcp: or unix:');
}

export function formatAddress(address: Address): string {
  if (address.type === 'unix') return `unix:${address.path}`;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `tcp:${host}:${address.port}`;
}

export function sameAddress(a: Address, b: Address): boolean {
  return formatAddress(a) === formatAddress(b);
}

function parseUnix(path: string, text: string): Address {
  if (path === '') throw refuse(text, 'the path is empty');
  if (path.includes('\0')) throw refuse(text, 'the path contains a NUL byte');
  if (Buffer.byteLength(path) > UNIX_PATH_BYTES_MAX) {
    throw refuse(text, `the path is longer than ${UNIX_PATH_BYTES_MAX} bytes`);
  }
  return { type: 'unix', path };
}

function parseTcp(rest: string, text: string): Address {
  const match = /^(?:\[([^\]]*)\]|([^:[\]\s\0]*)):(\d{1,5})$/.exec(rest);
  if (match === null) throw refuse(text, 'expected tcp:HOST:PORT, IPv6 in brackets');
  const [, inBrackets, name = '', digits] = match;
  if (inBrackets !== undefined && !isIPv6(inBrackets)) {
    throw refuse(text, 'what stands in brackets is not an IPv6 address');
  }
  const port = Number(digits);
  if (port > 65_535) throw refuse(text, `port ${port} is above 65535`);
  return { type: 'tcp', host: inBrackets ?? name, port };
}

function refuse(text: string, why: string): ChannelError {
  return new ChannelError('ERR_ADDRESS', `invalid address '${text}': ${why}`);
}
