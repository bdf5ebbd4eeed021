/** What {@link JsonSplitter} cuts out of the bytes. */
export type JsonPiece =
  | { readonly type: 'value'; readonly value: unknown; readonly byteLength: number }
  /** Not JSON; reading goes on after the next newline. */
  | { readonly type: 'malformed'; readonly reason: string }
  /** A value without end; nothing more comes out, whatever goes in. */
  | { readonly type: 'too-long'; readonly reason: string };

export interface JsonLimits {
  /** Of one value, from its first byte to its last. */
  readonly valueBytesMax: number;
  /** Of arrays and objects in each other. */
  readonly depthMax: number;
}

/** One command and its arguments: a MiB is far above the longest (a list of channels). */
export const VALUE_BYTES_MAX = 1024 * 1024;
/** As QEMU's parser (qobject/json-streamer.c, MAX_NESTING). */
export const DEPTH_MAX = 1024;

type Mode = 'between' | 'nested' | 'string' | 'escape' | 'bare' | 'skip' | 'dead';
/** What a byte means: part of the value, its last one, the first after it; or why it is wrong. */
type Step = 'more' | 'ends' | 'ended-before' | { readonly reason: string };

/**
 * Cuts a stream of bytes into JSON values. As with QEMU, white space between values is free and
 * not even needed after an object: the brackets say where it ends.
 *
 * Memory: the chunks handed in and not yet read, and one unfinished value within its limit. The
 * caller bounds the first by not appending before `next()` has returned undefined.
 */
export class JsonSplitter {
  readonly #limits: JsonLimits;
  #mode: Mode = 'between';
  #depth = 0;
  /** Chunks not read to their end; `#at` is where reading goes on in the first one. */
  #chunks: Uint8Array[] = [];
  #at = 0;
  /** The unfinished value: `#keptBytes` of earlier chunks, then the first chunk from `#start` on. */
  #kept = Buffer.alloc(0);
  #keptBytes = 0;
  #start = 0;

  constructor(limits: JsonLimits = { valueBytesMax: VALUE_BYTES_MAX, depthMax: DEPTH_MAX }) {
    this.#limits = limits;
  }

  /** The chunk is kept, not copied: the caller must not write to it any more. */
  append(chunk: Uint8Array): void {
    if (this.#mode !== 'dead') this.#chunks.push(chunk);
  }

  /** The next piece, or undefined when more bytes are needed. */
  next(): JsonPiece | undefined {
    for (let chunk = this.#chunks[0]; chunk !== undefined; chunk = this.#chunks[0]) {
      const piece = this.#scan(chunk);
      if (piece !== undefined) return piece;
      this.#finishChunk(chunk);
    }
    return undefined;
  }

  /** Nothing more comes out, whatever goes in. */
  stop(): void {
    this.#forget('dead');
    this.#chunks = [];
  }

  #scan(chunk: Uint8Array): JsonPiece | undefined {
    while (this.#at < chunk.length) {
      const byte = chunk[this.#at] ?? 0;
      if (this.#mode === 'skip') {
        this.#at += 1;
        if (byte === NEWLINE) this.#mode = 'between';
        continue;
      }
      if (this.#mode === 'between') {
        if (isSpace(byte)) {
          this.#at += 1;
          continue;
        }
        this.#start = this.#at;
      }
      const step = this.#step(byte);
      if (typeof step === 'object') return this.#malformed(step.reason);
      if (step !== 'ended-before') this.#at += 1;
      const valueBytes = this.#keptBytes + this.#at - this.#start;
      if (valueBytes > this.#limits.valueBytesMax) return this.#die();
      if (step !== 'more') return this.#finishValue(chunk);
    }
    return undefined;
  }

  /** Looks at one byte as a lexer does: enough to find the end of a value, and rubbish early. */
  #step(byte: number): Step {
    switch (this.#mode) {
      case 'escape':
        this.#mode = 'string';
        return byte < SPACE ? CONTROL_IN_STRING : 'more';
      case 'string':
        if (byte < SPACE) return CONTROL_IN_STRING;
        if (byte === BACKSLASH) this.#mode = 'escape';
        if (byte !== QUOTE) return 'more';
        this.#mode = this.#depth === 0 ? 'between' : 'nested';
        return this.#depth === 0 ? 'ends' : 'more';
      case 'bare':
        return isBare(byte) ? 'more' : 'ended-before';
      default:
        return this.#stepOutsideString(byte);
    }
  }

  #stepOutsideString(byte: number): Step {
    if (byte === QUOTE) {
      this.#mode = 'string';
      return 'more';
    }
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      this.#depth += 1;
      this.#mode = 'nested';
      return this.#depth > this.#limits.depthMax ? TOO_DEEP : 'more';
    }
    if (this.#mode === 'between') {
      this.#mode = 'bare';
      return isBare(byte) ? 'more' : stray(byte);
    }
    if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      this.#depth -= 1;
      return this.#depth === 0 ? 'ends' : 'more';
    }
    return isSpace(byte) || isBare(byte) || byte === COMMA || byte === COLON ? 'more' : stray(byte);
  }

  #finishValue(chunk: Uint8Array): JsonPiece {
    const end = chunk.subarray(this.#start, this.#at);
    const bytes = this.#keptBytes === 0 ? end : this.#keep(end);
    try {
      const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
      this.#forget('between');
      return { type: 'value', value, byteLength: bytes.length };
    } catch (error) {
      // JSON.parse and the decoder throw nothing but what they think of these bytes.
      return this.#malformed(`JSON parse error, ${error instanceof Error ? error.message : ''}`);
    }
  }

  /** The chunk is read to its end; what belongs to an unfinished value is kept. */
  #finishChunk(chunk: Uint8Array): void {
    if (this.#mode !== 'between' && this.#mode !== 'skip' && this.#start < chunk.length) {
      this.#keep(chunk.subarray(this.#start));
    }
    this.#chunks.shift();
    this.#at = 0;
    this.#start = 0;
  }

  /**
   * Copies, into a buffer that doubles: a peer that sends single bytes must not make us hold a
   * chunk for each.
   *
   * @returns what is kept by now; valid until the next call.
   */
  #keep(bytes: Uint8Array): Uint8Array {
    const byteLength = this.#keptBytes + bytes.length;
    if (byteLength > this.#kept.length) {
      const grown = Buffer.alloc(Math.max(byteLength, 2 * this.#kept.length));
      this.#kept.copy(grown, 0, 0, this.#keptBytes);
      this.#kept = grown;
    }
    this.#kept.set(bytes, this.#keptBytes);
    this.#keptBytes = byteLength;
    return this.#kept.subarray(0, byteLength);
  }

  #malformed(reason: string): JsonPiece {
    this.#forget('skip');
    return { type: 'malformed', reason };
  }

  #die(): JsonPiece {
    this.stop();
    const reason = `JSON value is longer than ${this.#limits.valueBytesMax} bytes`;
    return { type: 'too-long', reason };
  }

  #forget(mode: Mode): void {
    this.#mode = mode;
    this.#depth = 0;
    this.#kept = Buffer.alloc(0);
    this.#keptBytes = 0;
  }
}

const [NEWLINE, SPACE, QUOTE, BACKSLASH, COMMA, COLON] = [0x0a, 0x20, 0x22, 0x5c, 0x2c, 0x3a];
const [OPEN_BRACE, CLOSE_BRACE, OPEN_BRACKET, CLOSE_BRACKET] = [0x7b, 0x7d, 0x5b, 0x5d];
const TOO_DEEP: Step = { reason: 'JSON nesting depth limit exceeded' };
/** A raw newline in a string is refused at once, so that a lost quote costs one line, not all. */
const CONTROL_IN_STRING: Step = { reason: 'JSON parse error, control character in string' };

function isSpace(byte: number): boolean {
  return byte === SPACE || byte === NEWLINE || byte === 0x0d || byte === 0x09;
}

/** Of a number or a word (true, false, null); whether it is one, JSON.parse says. */
function isBare(byte: number): boolean {
  const letter = byte | 0x20;
  const isLetter = letter >= 0x61 && letter <= 0x7a;
  const isDigit = byte >= 0x30 && byte <= 0x39;
  return isLetter || isDigit || byte === 0x2b || byte === 0x2d || byte === 0x2e;
}

function stray(byte: number): Step {
  const printable = byte > SPACE && byte < 0x7f;
  const shown = printable ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`;
  return { reason: `JSON parse error, stray '${shown}'` };
}
