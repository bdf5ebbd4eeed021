import assert from 'node:assert/strict';
import { ChannelError } from '../errors.ts';

export const PROTOCOL_VERSION = 1;

export const roles = { main: 1, urgent: 2, page: 3, probe: 4 } as const;
export type Role = keyof typeof roles;

export const answerStatuses = {
  accepted: 0,
  version: 1,
  'not-listening': 2,
  'other-session': 3,
  proof: 4,
  'stale-epoch': 5,
  'unexpected-role': 6,
  busy: 7,
} as const;
export type AnswerStatus = keyof typeof answerStatuses;

export const GREETING_BYTES = 32;
export const HELLO_BYTES = 96;
export const ANSWER_BYTES = 48;
export const REASON_BYTES_MAX = 256;
export const NONCE_BYTES = 16;
export const MIGRATION_ID_BYTES = 16;
export const PROOF_BYTES = 32;

/** "GODWIT\r\n": the line end shows a transport that mends line ends. */
const MAGIC = Buffer.from('474f445749540d0a', 'hex');

/** First word of the acceptor: 0 magic, 8 lowest and 10 highest version, 16 nonce. */
export interface Greeting {
  readonly versionMin: number;
  readonly versionMax: number;
  readonly nonce: Uint8Array;
}

/** The dialler's: 0 magic, 8 version, 10 role, 11 flags, 12 epoch, 16 id, 32 nonce, 48 proof, 80 index. */
export interface Hello {
  readonly version: number;
  readonly role: Role;
  readonly newSession: boolean;
  readonly epoch: number;
  readonly migrationId: Uint8Array;
  readonly nonce: Uint8Array;
  /** The secret itself when `newSession`. */
  readonly proof: Uint8Array;
  readonly index: number;
}

/** The acceptor's: 0 magic, 8 status, 10 reason length, 12 epoch, 16 proof, 48 reason. */
export interface Answer {
  readonly status: AnswerStatus;
  readonly epoch: number;
  readonly proof: Uint8Array;
  readonly reason: string;
}

export function encodeGreeting(greeting: Greeting): Buffer {
  assert.equal(greeting.nonce.byteLength, NONCE_BYTES);
  const bytes = Buffer.alloc(GREETING_BYTES);
  bytes.set(MAGIC, 0);
  bytes.writeUInt16LE(greeting.versionMin, 8);
  bytes.writeUInt16LE(greeting.versionMax, 10);
  bytes.set(greeting.nonce, 16);
  return bytes;
}

/** @throws {ChannelError} `ERR_STRANGER`: whoever answers there is not a Godwit destination. */
export function decodeGreeting(bytes: Buffer): Greeting {
  assert.equal(bytes.byteLength, GREETING_BYTES);
  checkMagic(bytes, 'greeting');
  return {
    versionMin: bytes.readUInt16LE(8),
    versionMax: bytes.readUInt16LE(10),
    nonce: Uint8Array.from(bytes.subarray(16, 32)),
  };
}

export function encodeHello(hello: Hello): Buffer {
  assert.equal(hello.migrationId.byteLength, MIGRATION_ID_BYTES);
  assert.equal(hello.nonce.byteLength, NONCE_BYTES);
  assert.equal(hello.proof.byteLength, PROOF_BYTES);
  const bytes = Buffer.alloc(HELLO_BYTES);
  bytes.set(MAGIC, 0);
  bytes.writeUInt16LE(hello.version, 8);
  bytes.writeUInt8(roles[hello.role], 10);
  bytes.writeUInt8(hello.newSession ? 1 : 0, 11);
  bytes.writeUInt32LE(hello.epoch, 12);
  bytes.set(hello.migrationId, 16);
  bytes.set(hello.nonce, 32);
  bytes.set(hello.proof, 48);
  bytes.writeUInt16LE(hello.index, 80);
  return bytes;
}

/** @throws {ChannelError} `ERR_STRANGER` without our magic, `ERR_PROTOCOL` for an impossible field. */
export function decodeHello(bytes: Buffer): Hello {
  assert.equal(bytes.byteLength, HELLO_BYTES);
  checkMagic(bytes, 'hello');
  const roleNumber = bytes.readUInt8(10);
  const role = (Object.keys(roles) as Role[]).find((name) => roles[name] === roleNumber);
  if (role === undefined) throw refuse(`hello with unknown role ${roleNumber}`);
  const flags = bytes.readUInt8(11);
  if (flags > 1) throw refuse(`hello with unknown flags 0x${flags.toString(16)}`);
  const hello = {
    version: bytes.readUInt16LE(8),
    role,
    newSession: flags === 1,
    epoch: bytes.readUInt32LE(12),
    migrationId: Uint8Array.from(bytes.subarray(16, 32)),
    nonce: Uint8Array.from(bytes.subarray(32, 48)),
    proof: Uint8Array.from(bytes.subarray(48, 80)),
    index: bytes.readUInt16LE(80),
  };
  const mayBegin = (role === 'main' || role === 'probe') && hello.epoch === 0;
  if (hello.newSession && !mayBegin) {
    throw refuse(`hello opens a session as ${role}, epoch ${hello.epoch}`);
  }
  return hello;
}

export function encodeAnswer(answer: Answer): Buffer {
  assert.equal(answer.proof.byteLength, PROOF_BYTES);
  const reason = Buffer.from(answer.reason).subarray(0, REASON_BYTES_MAX);
  const bytes = Buffer.alloc(ANSWER_BYTES + reason.byteLength);
  bytes.set(MAGIC, 0);
  bytes.writeUInt16LE(answerStatuses[answer.status], 8);
  bytes.writeUInt16LE(reason.byteLength, 10);
  bytes.writeUInt32LE(answer.epoch, 12);
  bytes.set(answer.proof, 16);
  bytes.set(reason, ANSWER_BYTES);
  return bytes;
}

/** How many bytes of reason follow the fixed part. @throws {ChannelError} as `decodeAnswer`. */
export function answerReasonBytes(fixed: Buffer): number {
  assert.equal(fixed.byteLength, ANSWER_BYTES);
  checkMagic(fixed, 'answer');
  const length = fixed.readUInt16LE(10);
  if (length > REASON_BYTES_MAX) throw refuse(`answer with a reason of ${length} bytes`);
  return length;
}

/** @throws {ChannelError} `ERR_STRANGER` without our magic, `ERR_PROTOCOL` for an impossible field. */
export function decodeAnswer(bytes: Buffer): Answer {
  assert.equal(bytes.byteLength, ANSWER_BYTES + answerReasonBytes(bytes.subarray(0, ANSWER_BYTES)));
  const number = bytes.readUInt16LE(8);
  const names = Object.keys(answerStatuses) as AnswerStatus[];
  const status = names.find((name) => answerStatuses[name] === number);
  if (status === undefined) throw refuse(`answer with unknown status ${number}`);
  return {
    status,
    epoch: bytes.readUInt32LE(12),
    proof: Uint8Array.from(bytes.subarray(16, 48)),
    reason: bytes.toString('utf8', ANSWER_BYTES),
  };
}

function checkMagic(bytes: Buffer, what: string): void {
  if (MAGIC.equals(bytes.subarray(0, MAGIC.byteLength))) return;
  throw new ChannelError('ERR_STRANGER', `the ${what} does not begin as Godwit's do`);
}

function refuse(message: string): ChannelError {
  return new ChannelError('ERR_PROTOCOL', message);
}
