import { describe, expect, test } from 'vitest';
import type { Hello } from '../src/framing/opening.ts';
import {
  answerProof,
  helloProof,
  isSameMigration,
  isSameProof,
  newSession,
  type ProofSubject,
  type Session,
} from '../src/session.ts';

const session: Session = {
  migrationId: new Uint8Array(16).fill(1),
  secret: new Uint8Array(32).fill(2),
};
const subject: ProofSubject = {
  role: 'main',
  index: 0,
  epoch: 1,
  greetingNonce: new Uint8Array(16).fill(3),
  helloNonce: new Uint8Array(16).fill(4),
};

test('two sessions share neither id nor secret', () => {
  const [a, b] = [newSession(), newSession()];
  expect([a.migrationId.byteLength, a.secret.byteLength]).toEqual([16, 32]);
  expect(isSameProof(a.secret, b.secret)).toBe(false);
  expect(isSameProof(a.migrationId, b.migrationId)).toBe(false);
});

describe.each([
  ['hello', helloProof],
  ['answer', answerProof],
])("the %s's proof", (_name, prove) => {
  const proof = prove(session, subject);

  test('is the same for the same connection', () => {
    expect(isSameProof(proof, prove({ ...session }, { ...subject }))).toBe(true);
  });

  test.each<[string, Partial<Session>, Partial<ProofSubject>]>([
    ['secret', { secret: new Uint8Array(32).fill(9) }, {}],
    ['migration', { migrationId: new Uint8Array(16).fill(9) }, {}],
    ['role', {}, { role: 'urgent' }],
    ['index', {}, { index: 1 }],
    ['epoch', {}, { epoch: 2 }],
    ['greeting', {}, { greetingNonce: new Uint8Array(16).fill(9) }],
    ['hello', {}, { helloNonce: new Uint8Array(16).fill(9) }],
  ])('does not fit another %s', (_what, otherSession, otherSubject) => {
    const other = prove({ ...session, ...otherSession }, { ...subject, ...otherSubject });
    expect(isSameProof(proof, other)).toBe(false);
  });
});

test('neither side can hand the other its own proof back', () => {
  const { greetingNonce: helloNonce, helloNonce: greetingNonce } = subject;
  const mirrored = { ...subject, greetingNonce, helloNonce };
  expect(isSameProof(helloProof(session, subject), answerProof(session, subject))).toBe(false);
  expect(isSameProof(helloProof(session, subject), answerProof(session, mirrored))).toBe(false);
});

test('a proof of another length is another proof, not a failure', () => {
  expect(isSameProof(new Uint8Array(32), new Uint8Array(31))).toBe(false);
});

test('a hello belongs to a migration by its id alone', () => {
  const hello: Hello = {
    version: 1,
    role: 'main',
    newSession: false,
    epoch: 0,
    migrationId: Uint8Array.from(session.migrationId),
    nonce: new Uint8Array(16),
    proof: new Uint8Array(32),
    index: 0,
  };
  expect(isSameMigration(session, hello)).toBe(true);
  expect(isSameMigration(session, { ...hello, migrationId: new Uint8Array(16) })).toBe(false);
});
