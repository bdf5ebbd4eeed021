import { expect, test } from 'vitest';
import { copyMemory } from '../src/copy-memory.ts';
import { buffer } from './resources.ts';

test('exactly the bytes asked for are copied', () => {
  const [from, to] = [buffer(16), buffer(16)];
  from.bytes.set([1, 2, 3, 4, 5]);
  copyMemory(to.address + 1, from.address + 1, 3);
  expect([...to.bytes.subarray(0, 6)]).toEqual([0, 2, 3, 4, 0, 0]);
});
