import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ChannelError } from '../src/errors.ts';
import {
  decodeProbeWord,
  encodeProbeWord,
  PROBE_BYTES_MAX,
  PROBE_DATA_BYTES_MAX,
  PROBE_WORD_BYTES,
  type ProbeManner,
  type ProbeWord,
} from '../src/framing/probe-word.ts';

const manner = fc.constantFrom<ProbeManner>('read', 'place');
const word: fc.Arbitrary<ProbeWord> = fc.oneof(
  fc.record({ type: fc.constantFrom('echo', 'end') }),
  fc.record({
    type: fc.constant('data' as const),
    manner,
    dataBytes: fc.integer({ min: 1, max: PROBE_DATA_BYTES_MAX / 4096 }).map((n) => n * 4096),
  }),
  fc.record({
    type: fc.constant('report' as const),
    manner,
    bytes: fc.maxSafeNat().map((n) => n % PROBE_BYTES_MAX),
    micros: fc.nat(),
  }),
);

function encoded(it: ProbeWord): Uint8Array {
  const bytes = new Uint8Array(PROBE_WORD_BYTES).fill(0xee);
  encodeProbeWord(it, bytes);
  return bytes;
}

const hex = (it: ProbeWord): string => Buffer.from(encoded(it)).toString('hex');

test('the bytes of each word are those of docs/PROTOCOL.md', () => {
  expect(hex({ type: 'echo' })).toBe('01'.padEnd(48, '0'));
  expect(hex({ type: 'data', manner: 'place', dataBytes: 0x10_0000 })).toBe(
    '0201000000001000'.padEnd(48, '0'),
  );
  expect(hex({ type: 'end' })).toBe('03'.padEnd(48, '0'));
  expect(hex({ type: 'report', manner: 'read', bytes: 0x1_0000_0000, micros: 300 })).toBe(
    '040000000000000000000000010000002c01000000000000',
  );
});

test('a word is read as it was written', () => {
  fc.assert(
    fc.property(word, (it) => {
      expect(decodeProbeWord(encoded(it))).toEqual(it);
    }),
  );
});

test.each([
  ['of no kind', '00'],
  ['of an unknown kind', '05'],
  ['of an unknown manner', '0202000000001000'],
  ['with data that is no whole page', '0200000001000000'],
  ['with no data', '0200000000000000'],
  ['with more data than there may be', '0200000000101000'],
  ['with data that an echo has not', '0100000000100000'],
  ['with something in between', '0200010000001000'],
  ['that took longer than there is time', `04${'0'.repeat(30)}ffffffffffffffff`],
  ['that reports more than may be sent', '0400000000000000ffffffffffffffff'],
])('a word %s is refused', (_what, start) => {
  const bytes = Buffer.from(start.padEnd(48, '0'), 'hex');
  expect(() => decodeProbeWord(bytes)).toThrow(ChannelError);
});

test('arbitrary bytes are read as a word that means them, or refused', () => {
  const bytes = fc.uint8Array({ minLength: PROBE_WORD_BYTES, maxLength: PROBE_WORD_BYTES });
  fc.assert(
    fc.property(bytes, (it) => {
      try {
        expect(encoded(decodeProbeWord(it))).toEqual(it);
      } catch (error) {
        expect(error).toBeInstanceOf(ChannelError);
      }
    }),
  );
});
