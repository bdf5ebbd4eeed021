import { expect, test } from 'vitest';
import { viewRam } from '../src/memory/ram-view.ts';
import { bytesOf, realRam } from './real-ram.ts';

const PAGE = 4096;

test('a view shows the memory itself: what is written there is read here, and the other way round', () => {
  const [block] = realRam([2]);
  const view = new Uint8Array(viewRam(block!));
  expect(view.byteLength).toBe(2 * PAGE);
  view[PAGE] = 7;
  expect(bytesOf(block)[PAGE]).toBe(7);
  const part = new Uint8Array(viewRam(block!, PAGE, 1));
  expect([...part]).toEqual([7]);
  bytesOf(block)[PAGE] = 8;
  expect([...part]).toEqual([8]);
});

test.each([
  [-1, 1],
  [0, 2 * PAGE + 1],
  [2 * PAGE, 1],
  [0, -1],
])('what is not in the block is refused by name: %i bytes on, %i long', (offset, byteLength) => {
  const [block] = realRam([2]);
  expect(() => viewRam(block!, offset, byteLength)).toThrow(/not in RAM block 'ram0'/);
});
