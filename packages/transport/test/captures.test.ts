import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { checksumOf, sealFrame } from '../src/framing/checksum.ts';
import { type ControlMessage, decodeControl, encodeControl } from '../src/framing/control.ts';
import {
  decodeFrameHeader,
  encodeFrameHeader,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  type FrameLimits,
  FrameType,
  newFrameHeader,
} from '../src/framing/frame.ts';
import {
  type Answer,
  decodeAnswer,
  decodeGreeting,
  decodeHello,
  encodeAnswer,
  encodeGreeting,
  encodeHello,
  type Greeting,
  type Hello,
} from '../src/framing/opening.ts';
import { inflatePages } from '../src/framing/zlib-pages.ts';
import { answerProof, helloProof } from '../src/session.ts';

/** @returns what test/captures/README.md describes: the hex digits of each capture, by its name. */
function readCaptures(file: string): Map<string, string> {
  const captures = new Map<string, string>();
  const text = readFileSync(new URL(`../../../test/captures/${file}`, import.meta.url), 'utf8');
  let name = '';
  for (const line of text.split('\n')) {
    const content = line.replace(/#.*/, '').trimEnd();
    if (content === '') continue;
    if (content.startsWith(' ')) {
      captures.set(name, `${captures.get(name)}${content.replaceAll(' ', '')}`);
    } else {
      name = content;
      captures.set(name, '');
    }
  }
  return captures;
}

function counting(from: number, byteLength: number): Uint8Array {
  return Uint8Array.from({ length: byteLength }, (_value, index) => from + index);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

const digest = counting(0xe0, 32);
const GIB = 2 ** 30;

const control: Readonly<Record<string, ControlMessage>> = {
  start: {
    t: 'start',
    page: 4096,
    blocks: [
      ['pc.ram', 5 * GIB],
      ['vidéo', 16_777_216],
    ],
    caps: ['postcopy-ram'],
    uuid: '0c5f',
  },
  'start-plain': { t: 'start', page: 4096, blocks: [['ram', 4096]], caps: [], uuid: null },
  'start-multifd': {
    t: 'start',
    page: 4096,
    blocks: [['ram', 4096]],
    caps: ['multifd'],
    uuid: null,
    channels: 4,
  },
  'start-zlib': {
    t: 'start',
    page: 4096,
    blocks: [['ram', 4096]],
    caps: ['multifd'],
    uuid: null,
    channels: 16,
    compression: 'zlib',
  },
  'start-heartbeat': {
    t: 'start',
    page: 4096,
    blocks: [['ram', 4096]],
    caps: [],
    uuid: null,
    heartbeat: 1000,
  },
  started: { t: 'started' },
  refused: { t: 'refused', why: 'no such block' },
  pass: { t: 'pass', n: 300 },
  sync: { t: 'sync', n: 300 },
  flush: { t: 'flush' },
  flushed: { t: 'flushed' },
  'switchover-ack': { t: 'switchover-ack' },
  listen: { t: 'listen' },
  loaded: { t: 'loaded', pages: 4096, digest },
  'loaded-ram': { t: 'loaded', pages: 4096, digest, ram: [digest] },
  run: { t: 'run', paused: false },
  'run-paused': { t: 'run', paused: true },
  running: { t: 'running' },
  end: { t: 'end' },
  complete: { t: 'complete', pages: 2 ** 32, digest },
  finished: { t: 'finished' },
  abandon: { t: 'abandon', why: 'cancelled' },
  failed: { t: 'failed', why: 'bad state' },
  recover: { t: 'recover' },
  'recovering-loaded': { t: 'recovering', phase: 'loaded', pages: 127, digest },
  'recovering-running': { t: 'recovering', phase: 'running', pages: 127, digest },
  'recovering-complete': { t: 'recovering', phase: 'complete', pages: 127, digest },
  resume: { t: 'resume' },
  resumed: { t: 'resumed' },
};

describe('control messages', () => {
  const captures = readCaptures('control.hex');

  test('each has a capture, each capture a message', () => {
    expect([...captures.keys()]).toEqual(Object.keys(control));
  });

  test.each(Object.entries(control))('%s is written and read as captured', (name, message) => {
    const frame = captures.get(name) ?? '';
    expect(hex(encodeControl(message))).toBe(frame);
    const body = Uint8Array.from(Buffer.from(frame, 'hex')).subarray(FRAME_HEADER_BYTES);
    expect(decodeControl(body)).toEqual(message);
  });
});

const limits: FrameLimits = {
  pageBytes: 4096,
  blockPages: [128, 1024, 2 ** 33 + 2 ** 21, 2 ** 24],
};

const headers: Readonly<Record<string, FrameHeader>> = {
  pages: { type: FrameType.PAGES, block: 1, bodyBytes: 65_536, firstPage: 512, pageCount: 16 },
  zero: {
    type: FrameType.ZERO,
    block: 2,
    bodyBytes: 0,
    firstPage: 2 ** 33 + 1,
    pageCount: 1_000_000,
  },
  discard: { type: FrameType.DISCARD, block: 0, bodyBytes: 5, firstPage: 64, pageCount: 35 },
  'zlib-pages': { type: FrameType.ZLIB_PAGES, block: 1, bodyBytes: 39, firstPage: 3, pageCount: 2 },
  control: { type: FrameType.CONTROL, block: 0, bodyBytes: 10, firstPage: 0, pageCount: 0 },
  device: { type: FrameType.DEVICE, block: 0, bodyBytes: 67_108_864, firstPage: 0, pageCount: 0 },
  request: { type: FrameType.REQUEST, block: 258, bodyBytes: 0, firstPage: 197_637, pageCount: 1 },
  'recv-bitmap': {
    type: FrameType.RECV_BITMAP,
    block: 3,
    bodyBytes: 1_048_576,
    firstPage: 0,
    pageCount: 8_388_608,
  },
  resend: { type: FrameType.RESEND, block: 1, bodyBytes: 0, firstPage: 512, pageCount: 16 },
  heartbeat: { type: FrameType.HEARTBEAT, block: 0, bodyBytes: 0, firstPage: 0, pageCount: 0 },
};

describe('frame headers', () => {
  const captures = readCaptures('frames.hex');

  test('every frame type has a capture', () => {
    expect([...captures.keys()]).toEqual(Object.keys(headers));
    const types = Object.values(headers).map(({ type }) => type);
    expect(new Set(types)).toEqual(new Set(Object.values(FrameType)));
  });

  test.each(Object.entries(headers))('%s is written and read as captured', (name, header) => {
    const bytes = new Uint8Array(FRAME_HEADER_BYTES).fill(0xff);
    const { type, block, firstPage, pageCount, bodyBytes } = header;
    const into = new DataView(bytes.buffer);
    encodeFrameHeader(into, 0, type, block, firstPage, pageCount, bodyBytes);
    expect(hex(bytes)).toBe(captures.get(name));
    const decoded = newFrameHeader();
    decodeFrameHeader(into, 0, decoded, limits);
    expect(decoded).toEqual(header);
  });
});

describe('checked frames', () => {
  const captures = readCaptures('checked-frames.hex');
  const checked = {
    ...limits,
    blockPages: Array.from({ length: 259 }, () => 2 ** 34),
    checked: true,
  };
  const bodies: Readonly<Record<string, Buffer>> = {
    pages: Buffer.alloc(4096, 'wire'),
    control: Buffer.from(encodeControl({ t: 'flush' }).subarray(FRAME_HEADER_BYTES)),
  };
  const headersOfChecked: Readonly<Record<string, FrameHeader>> = {
    pages: {
      type: FrameType.PAGES,
      block: 258,
      bodyBytes: 4096,
      firstPage: 2 ** 33 + 5,
      pageCount: 1,
    },
    zero: headers['zero'] as FrameHeader,
    control: { ...(headers['control'] as FrameHeader), bodyBytes: 9 },
    resend: headers['resend'] as FrameHeader,
  };

  test.each(Object.entries(headersOfChecked))(
    '%s is sealed and read as captured',
    (name, header) => {
      const body = bodies[name] ?? Buffer.alloc(0);
      const frame = new Uint8Array(FRAME_HEADER_BYTES + body.byteLength);
      const view = new DataView(frame.buffer);
      const { type, block, firstPage, pageCount, bodyBytes } = header;
      encodeFrameHeader(view, 0, type, block, firstPage, pageCount, bodyBytes);
      frame.set(body, FRAME_HEADER_BYTES);
      sealFrame(frame);
      const captured = captures.get(name) ?? '';
      expect(hex(frame).slice(0, captured.length)).toBe(captured);
      const decoded = newFrameHeader();
      decodeFrameHeader(view, 0, decoded, checked);
      expect(decoded).toEqual({ ...header, checksum: checksumOf(body) });
    },
  );
});

test('the compressed pages of a frame are read as captured', () => {
  const body = Buffer.from(readCaptures('zlib-pages.hex').get('two-pages') ?? '', 'hex');
  expect(body).toHaveLength(headers['zlib-pages']?.bodyBytes ?? 0);
  const pages = Buffer.alloc(2 * 4096);
  inflatePages(body, pages);
  expect(pages.subarray(0, 4096)).toEqual(Buffer.alloc(4096, 'A'));
  expect(pages.subarray(4096)).toEqual(Buffer.alloc(4096, 'wire'));
});

describe('the opening', () => {
  const captures = readCaptures('opening.hex');
  const bytesOf = (name: string): Buffer => Buffer.from(captures.get(name) ?? '', 'hex');
  const session = { migrationId: counting(0x10, 16), secret: counting(0x40, 32) };
  const greetingNonce = counting(0xa0, 16);
  const helloNonce = counting(0xd0, 16);
  const subject = { role: 'urgent', index: 258, epoch: 3, greetingNonce, helloNonce } as const;

  test('the greeting is written and read as captured', () => {
    const greeting: Greeting = { versionMin: 1, versionMax: 2, nonce: greetingNonce };
    expect(hex(encodeGreeting(greeting))).toBe(captures.get('greeting'));
    expect(decodeGreeting(bytesOf('greeting'))).toEqual(greeting);
  });

  test('the hello of a new session hands the secret over', () => {
    const hello: Hello = {
      version: 1,
      role: 'main',
      newSession: true,
      epoch: 0,
      migrationId: session.migrationId,
      nonce: helloNonce,
      proof: session.secret,
      index: 0,
    };
    expect(hex(encodeHello(hello))).toBe(captures.get('hello-new'));
    expect(decodeHello(bytesOf('hello-new'))).toEqual(hello);
  });

  test('any other hello proves the secret with the HMAC that OpenSSL finds', () => {
    const hello: Hello = {
      version: 1,
      role: 'urgent',
      newSession: false,
      epoch: 3,
      migrationId: session.migrationId,
      nonce: helloNonce,
      proof: Uint8Array.from(helloProof(session, subject)),
      index: 258,
    };
    expect(hex(encodeHello(hello))).toBe(captures.get('hello-proof'));
    expect(decodeHello(bytesOf('hello-proof'))).toEqual(hello);
  });

  test('the answer that accepts proves the secret as well', () => {
    const proof = Uint8Array.from(answerProof(session, subject));
    const answer: Answer = { status: 'accepted', epoch: 3, proof, reason: '' };
    expect(hex(encodeAnswer(answer))).toBe(captures.get('answer-accepted'));
    expect(decodeAnswer(bytesOf('answer-accepted'))).toEqual(answer);
  });

  test('the answer that refuses says why', () => {
    const proof = new Uint8Array(32);
    const answer: Answer = { status: 'stale-epoch', epoch: 4, proof, reason: 'époque 4' };
    expect(hex(encodeAnswer(answer))).toBe(captures.get('answer-refused'));
    expect(decodeAnswer(bytesOf('answer-refused'))).toEqual(answer);
  });
});
