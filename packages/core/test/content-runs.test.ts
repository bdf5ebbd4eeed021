import { pageBytes } from '@godwit/posix';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ContentRuns } from '../src/memory/content-runs.ts';
import { PageContent } from '../src/memory/page-content.ts';
import type { RamBlock } from '../src/memory/ram-block.ts';
import { bytesOf, realRam } from './real-ram.ts';

const PAGES = 4096;

interface Run {
  readonly kind: 'zero' | 'other';
  readonly first: number;
  readonly count: number;
}

/** As a sender cuts them: in claims of at most 256 pages. */
function cut(runs: ContentRuns, pages: number): Run[] {
  const found: Run[] = [];
  for (let page = 0; page < pages;) {
    const limit = Math.min(page + 256, pages);
    const zeros = runs.zeros(page, limit);
    const count = zeros > 0 ? zeros : runs.others(page, limit);
    found.push({ kind: zeros > 0 ? 'zero' : 'other', first: page, count });
    page += count;
  }
  return found;
}

function blockWith(nonZero: readonly boolean[]): RamBlock {
  const [block] = realRam([nonZero.length]) as [RamBlock];
  const bytes = bytesOf(block); // one view for all pages: each costs more than what is done here
  for (const [page, isSet] of nonZero.entries()) if (isSet) bytes[page * pageBytes + 100] = 1;
  return block;
}

test('every page is in one run, and only pages that are zero are in runs of zeros', () => {
  const pages = fc.array(fc.boolean(), { minLength: 1, maxLength: 300 });
  fc.assert(
    fc.property(pages, (nonZero) => {
      const runs = cut(new ContentRuns(new PageContent(blockWith(nonZero))), nonZero.length);
      let next = 0;
      for (const { kind, first, count } of runs) {
        expect(first).toBe(next);
        const inside = nonZero.slice(first, first + count);
        // So few pages are all looked at: none that is zero is taken for another.
        expect(inside.every((isSet) => isSet === (kind === 'other'))).toBe(true);
        next = first + count;
      }
      expect(next).toBe(nonZero.length);
    }),
    { numRuns: 30 },
  );
});

test('a run of zeros behind many pages that are not zero is found but for its first and last pages', () => {
  const nonZero = Array.from({ length: PAGES }, (_, page) => page < 3000 || page >= 3500);
  const runs = cut(new ContentRuns(new PageContent(blockWith(nonZero))), PAGES);
  const zeros = runs.filter(({ kind }) => kind === 'zero');
  const count = zeros.reduce((sum, run) => sum + run.count, 0);
  expect(count).toBeGreaterThan(500 - 2 * 16);
  expect(count).toBeLessThanOrEqual(500);
});
