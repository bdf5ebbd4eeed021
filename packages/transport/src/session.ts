import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import {
  type Hello,
  MIGRATION_ID_BYTES,
  PROOF_BYTES,
  type Role,
  roles,
} from './framing/opening.ts';

/** One migration as its two ends know it: whoever has the secret may join it. */
export interface Session {
  readonly migrationId: Uint8Array;
  readonly secret: Uint8Array;
}

/** What a proof speaks for: this connection, answered to these nonces, and no other. */
export interface ProofSubject {
  readonly role: Role;
  readonly index: number;
  readonly epoch: number;
  readonly greetingNonce: Uint8Array;
  readonly helloNonce: Uint8Array;
}

export function newSession(): Session {
  return { migrationId: randomBytes(MIGRATION_ID_BYTES), secret: randomBytes(PROOF_BYTES) };
}

/** The dialler's proof: it knows the secret and answers this very greeting. */
export function helloProof(session: Session, subject: ProofSubject): Uint8Array {
  const nonces = [subject.greetingNonce, subject.helloNonce];
  return prove('godwit hello', nonces, session, subject);
}

/** The acceptor's proof: a stranger who listens on the address cannot give it. */
export function answerProof(session: Session, subject: ProofSubject): Uint8Array {
  const nonces = [subject.helloNonce, subject.greetingNonce];
  return prove('godwit answer', nonces, session, subject);
}

export function isSameProof(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && timingSafeEqual(a, b);
}

export function isSameMigration(session: Session, hello: Hello): boolean {
  return Buffer.from(session.migrationId).equals(hello.migrationId);
}

function prove(
  label: string,
  nonces: readonly Uint8Array[],
  session: Session,
  subject: ProofSubject,
): Uint8Array {
  const numbers = Buffer.alloc(7);
  numbers.writeUInt8(roles[subject.role], 0);
  numbers.writeUInt16LE(subject.index, 1);
  numbers.writeUInt32LE(subject.epoch, 3);
  const hmac = createHmac('sha256', session.secret).update(label);
  for (const nonce of nonces) hmac.update(nonce);
  return hmac.update(session.migrationId).update(numbers).digest();
}
