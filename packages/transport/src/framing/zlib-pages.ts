import assert from 'node:assert/strict';
import { deflateSync, inflateSync } from 'node:zlib';
import { ChannelError } from '../errors.ts';

/*
 * The body of a ZLIB_PAGES frame: one zlib stream (RFC 1950) of whole pages. No frame needs what was in
 * another, so that one that is lost with its link takes no other along.
 */

/**
 * @param pages that nobody writes meanwhile: zlib promises nothing for input that changes.
 * @param level 0 to 9, as zlib counts.
 * @returns the stream, perhaps longer than the pages; memory of its own.
 */
export function deflatePages(pages: Uint8Array, level: number): Uint8Array {
  return deflateSync(pages, { level, chunkSize: Math.max(pages.byteLength, CHUNK_BYTES_MIN) });
}

/** node:zlib allocates its output in pieces of this size at least. */
const CHUNK_BYTES_MIN = 64;

/**
 * The peer is not trusted: what comes out fills `pages` and not one byte more, of which more than one is
 * never made; the stream ends where the body does; and its checksum fits.
 *
 * @param pages is written only when all of that holds.
 * @throws {ChannelError} `ERR_PROTOCOL`.
 */
export function inflatePages(body: Uint8Array, pages: Uint8Array): void {
  const { byteLength } = pages;
  const inflated = inflate(body, byteLength);
  if (inflated.buffer.byteLength !== byteLength) {
    throw refuse(`${inflated.buffer.byteLength} bytes where ${byteLength} were announced`);
  }
  const { bytesWritten } = inflated.engine; // as Node calls what the engine was given and took
  if (bytesWritten !== body.byteLength) {
    throw refuse(`${body.byteLength - bytesWritten} bytes behind the end of the stream`);
  }
  pages.set(inflated.buffer);
}

interface Inflated {
  readonly buffer: Uint8Array;
  readonly engine: { readonly bytesWritten: number };
}

function inflate(body: Uint8Array, byteLength: number): Inflated {
  // Room for one byte more shows a stream that goes on; Node refuses it without making room for the rest.
  const chunkSize = Math.max(byteLength + 1, CHUNK_BYTES_MIN);
  try {
    const inflated: unknown = inflateSync(body, {
      chunkSize,
      maxOutputLength: byteLength,
      info: true,
    });
    assert(isInflated(inflated)); // what `info` asks for; Node's types do not say so
    return inflated;
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const isLong = code === 'ERR_BUFFER_TOO_LARGE';
    const why = isLong ? `more comes out than the ${byteLength} bytes announced` : message;
    throw new ChannelError('ERR_PROTOCOL', `compressed pages: ${why}`, { cause });
  }
}

function isInflated(value: unknown): value is Inflated {
  return typeof value === 'object' && value !== null && 'buffer' in value && 'engine' in value;
}

function refuse(message: string): ChannelError {
  return new ChannelError('ERR_PROTOCOL', `compressed pages: ${message}`);
}
