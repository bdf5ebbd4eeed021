import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type RamChunk, RamChunks } from '../src/memory/ram-chunks.ts';

function all(chunks: RamChunks): RamChunk[] {
  const found: RamChunk[] = [];
  for (let chunk = chunks.locate(0); chunk !== undefined; chunk = chunks.locate(found.length)) {
    found.push(chunk);
  }
  return found;
}

test('every page of every block is in one chunk, in order', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(sizes, (blockPages) => {
      const at = blockPages.map(() => 0);
      for (const { block, firstPage, limit } of all(new RamChunks(blockPages))) {
        expect(firstPage).toBe(at[block]);
        expect(limit).toBeGreaterThan(firstPage);
        at[block] = limit;
      }
      expect(at).toEqual(blockPages);
    }),
  );
});

test('there is nothing past the last chunk', () => {
  expect(new RamChunks([512]).locate(1)).toBeUndefined();
  expect(new RamChunks([512, 1]).locate(1)).toEqual({ block: 1, firstPage: 0, limit: 1 });
});
