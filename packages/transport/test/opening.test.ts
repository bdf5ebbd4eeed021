import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ChannelError } from '../src/errors.ts';
import {
  ANSWER_BYTES,
  answerReasonBytes,
  answerStatuses,
  type AnswerStatus,
  decodeAnswer,
  decodeGreeting,
  decodeHello,
  encodeAnswer,
  encodeGreeting,
  encodeHello,
  GREETING_BYTES,
  HELLO_BYTES,
  REASON_BYTES_MAX,
  type Role,
  roles,
} from '../src/framing/opening.ts';

const bytes = (byteLength: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: byteLength, maxLength: byteLength });
const u16 = fc.nat(0xffff);
const u32 = fc.nat(0xffff_ffff);

const helloFields = {
  version: u16,
  migrationId: bytes(16),
  nonce: bytes(16),
  proof: bytes(32),
  index: u16,
};
const hello = fc.oneof(
  fc.record({
    ...helloFields,
    role: fc.constantFrom(...(Object.keys(roles) as Role[])),
    newSession: fc.constant(false),
    epoch: u32,
  }),
  fc.record({
    ...helloFields,
    role: fc.constantFrom<Role>('main', 'probe'),
    newSession: fc.constant(true),
    epoch: fc.constant(0),
  }),
);

const answer = fc.record({
  status: fc.constantFrom(...(Object.keys(answerStatuses) as AnswerStatus[])),
  epoch: u32,
  proof: bytes(32),
  reason: fc.string({ unit: 'grapheme-ascii', maxLength: REASON_BYTES_MAX }),
});

test('greeting, hello and answer are read as they were written', () => {
  fc.assert(
    fc.property(u16, u16, bytes(16), hello, answer, (versionMin, versionMax, nonce, said, told) => {
      const greeting = { versionMin, versionMax, nonce };
      expect(decodeGreeting(encodeGreeting(greeting))).toEqual(greeting);
      expect(decodeHello(encodeHello(said))).toEqual(said);
      expect(decodeAnswer(encodeAnswer(told))).toEqual(told);
    }),
  );
});

test('a reason is cut to what the answer holds', () => {
  const proof = new Uint8Array(32);
  const long = encodeAnswer({ status: 'busy', epoch: 0, proof, reason: 'x'.repeat(1000) });
  expect(long.byteLength).toBe(ANSWER_BYTES + REASON_BYTES_MAX);
  expect(decodeAnswer(long).reason).toBe('x'.repeat(REASON_BYTES_MAX));
});

describe('refused is', () => {
  const valid = encodeHello({
    version: 1,
    role: 'main',
    newSession: false,
    epoch: 1,
    migrationId: new Uint8Array(16),
    nonce: new Uint8Array(16),
    proof: new Uint8Array(32),
    index: 0,
  });
  const changed = (offset: number, value: number, of: Buffer = valid): Buffer => {
    const copy = Buffer.from(of);
    copy[offset] = value;
    return copy;
  };

  test.each(['first', 'last'])('what lacks our magic in its %s byte', (which) => {
    const at = which === 'first' ? 0 : 7;
    const stranger = expect.objectContaining({ name: 'ChannelError', code: 'ERR_STRANGER' });
    expect(() => decodeGreeting(changed(at, 0, Buffer.alloc(GREETING_BYTES)))).toThrow(stranger);
    expect(() => decodeHello(changed(at, 0))).toThrow(stranger);
    const accepted = {
      status: 'accepted',
      epoch: 0,
      proof: new Uint8Array(32),
      reason: '',
    } as const;
    const bad = changed(at, 0, encodeAnswer(accepted));
    expect(() => decodeAnswer(bad)).toThrow(stranger);
    expect(() => answerReasonBytes(bad)).toThrow(stranger);
  });

  test.each([
    ['role 0', 10, 0],
    ['an unknown role', 10, 5],
    ['an unknown flag', 11, 2],
    ['a new session of a later epoch', 11, 1],
  ])('a hello with %s', (_offence, offset, value) => {
    expect(decodeHello(valid).epoch).toBe(1);
    expect(() => decodeHello(changed(offset, value))).toThrow(
      expect.objectContaining({ name: 'ChannelError', code: 'ERR_PROTOCOL' }),
    );
  });

  test('a hello that opens a session in another role than main or probe', () => {
    const first = changed(12, 0, changed(11, 1));
    expect(decodeHello(first).newSession).toBe(true);
    expect(decodeHello(changed(10, 4, first)).role).toBe('probe');
    expect(() => decodeHello(changed(10, 2, first))).toThrow(
      expect.objectContaining({ name: 'ChannelError', code: 'ERR_PROTOCOL' }),
    );
  });

  test('an answer with an unknown status or too long a reason', () => {
    const proof = new Uint8Array(32);
    const refused = encodeAnswer({ status: 'busy', epoch: 0, proof, reason: '' });
    const protocol = expect.objectContaining({ name: 'ChannelError', code: 'ERR_PROTOCOL' });
    expect(() => decodeAnswer(changed(8, 8, refused))).toThrow(protocol);
    expect(() => answerReasonBytes(changed(11, 2, refused))).toThrow(protocol);
  });
});

test('arbitrary bytes are refused, or are a hello or an answer', () => {
  const magic = Buffer.from('GODWIT\r\n');
  const withMagic = (byteLength: number): fc.Arbitrary<Buffer> =>
    fc
      .tuple(fc.boolean(), bytes(byteLength), fc.nat(7), fc.nat(4))
      .map(([known, rest, status, role]) => {
        const given = Buffer.from(rest);
        if (known) given.set([...magic, status, 0, role, 0], 0);
        return given;
      });
  const refusedOr = (decode: () => unknown): void => {
    try {
      expect(decode()).toBeDefined();
    } catch (error) {
      expect(error).toBeInstanceOf(ChannelError);
      expect(['ERR_STRANGER', 'ERR_PROTOCOL']).toContain((error as ChannelError).code);
    }
  };
  fc.assert(
    fc.property(
      withMagic(GREETING_BYTES),
      withMagic(HELLO_BYTES),
      withMagic(ANSWER_BYTES),
      (greeting, said, fixed) => {
        refusedOr(() => decodeGreeting(greeting));
        refusedOr(() => decodeHello(said));
        refusedOr(() => {
          const reason = Buffer.alloc(answerReasonBytes(fixed), 0xff);
          return decodeAnswer(Buffer.concat([fixed, reason]));
        });
      },
    ),
    { numRuns: 1000 },
  );
});
