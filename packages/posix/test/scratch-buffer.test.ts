import { expect, test } from 'vitest';
import { readFully, writeFully } from '../src/io.ts';
import { ScratchBuffer } from '../src/scratch-buffer.ts';
import { socketPair } from '../src/sockets.ts';

test('what a system call reads into its address is what its bytes show', () => {
  const [near, far] = socketPair();
  const written = new ScratchBuffer(5000);
  const read = new ScratchBuffer(5000);
  written.bytes.forEach((_, i) => (written.bytes[i] = i % 251));
  writeFully(near, written.address, 5000);
  expect(readFully(far, read.address, 5000)).toBe(5000);
  expect(read.bytes).toEqual(written.bytes);
});
