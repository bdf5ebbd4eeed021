import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mix, scaleBelow, unmix } from '../src/mix.ts';

const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });

test('unmix takes back what mix did, so no two words mix to the same', () => {
  fc.assert(fc.property(word, (bits) => unmix(mix(bits)) === bits));
  fc.assert(fc.property(word, (bits) => mix(unmix(bits)) === bits));
});

test('mix is fmix32 of MurmurHash3', () => {
  expect(mix(0)).toBe(0);
  expect(mix(1) >>> 0).toBe(0x514e28b7);
  expect(mix(0xdeadbeef) >>> 0).toBe(0x0de5c6a9);
});

test('a word scales to an integer below the limit', () => {
  expect(scaleBelow(0, 10)).toBe(0);
  expect(scaleBelow(-1, 10)).toBe(9);
  expect(scaleBelow(0x80000000, 10)).toBe(5);
});
