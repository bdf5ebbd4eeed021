import fc from 'fast-check';
import { expect, test } from 'vitest';
import { StructMemory, layoutU64 } from '../src/struct-memory.ts';

const inU64 = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });

test('a number written is the 64-bit little-endian integer, and is read back', () => {
  const memory = new StructMemory(24);
  const view = new DataView(memory.u8.buffer);
  fc.assert(
    fc.property(inU64, inU64, (first, second) => {
      memory.writeU64(8, first);
      memory.writeU64(16, second);
      expect(view.getBigUint64(8, true)).toBe(BigInt(first));
      expect(memory.readU64(8)).toBe(first);
      expect(memory.readU64(16)).toBe(second);
    }),
  );
  expect(memory.readU64(0)).toBe(0);
});

test('a negative 64-bit integer of the kernel is read as one', () => {
  const memory = new StructMemory(8);
  const view = new DataView(memory.u8.buffer);
  fc.assert(
    fc.property(fc.maxSafeInteger(), (value) => {
      view.setBigInt64(0, BigInt(value), true);
      expect(memory.readI64(0)).toBe(value);
    }),
  );
});

test('a struct of another size than the kernel says is refused when it is declared', () => {
  expect(layoutU64(16, ['start', 'length'])).toEqual({ start: 0, length: 8 });
  expect(() => layoutU64(24, ['start', 'length'])).toThrow('start,length');
});
