import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isZeroMemory } from '../src/zero-memory.ts';
import { buffer } from './resources.ts';

/** More than is compared in one call. */
const BYTES = 600 * 1024;

test('one byte that is not zero is seen wherever it is, and no byte outside the range', () => {
  const memory = buffer(BYTES);
  const range = fc
    .tuple(fc.nat(BYTES), fc.nat(BYTES))
    .map(([a, b]) => [Math.min(a, b), Math.max(a, b)]);
  fc.assert(
    fc.property(fc.nat(BYTES - 1), fc.integer({ min: 1, max: 255 }), range, (at, byte, ends) => {
      const [from, to] = ends as [number, number];
      memory.bytes[at] = byte;
      const isZero = isZeroMemory(memory.address + from, to - from);
      memory.bytes[at] = 0;
      expect(isZero).toBe(at < from || at >= to);
      expect(isZeroMemory(memory.address + from, to - from)).toBe(true);
    }),
  );
});

test('nothing is zero', () => {
  const memory = buffer(16);
  memory.bytes.fill(1);
  expect(isZeroMemory(memory.address, 0)).toBe(true);
});
