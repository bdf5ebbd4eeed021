import type { RamAccess } from '@godwit/core';
import { expect, test } from 'vitest';
import { PAGE_WORDS, type Segment } from '../src/pages/memory-pages.ts';
import { workloads } from '../src/program.ts';
import { chooseVisit } from '../src/vcpu/visit.ts';

/** Pages 10 to 13, the third and following of their block; `access` is asked and told. */
function segmentWith(access?: Pick<RamAccess, 'ensure' | 'wrote'>): Segment {
  return {
    words: new Int32Array(4 * PAGE_WORDS),
    firstPage: 10,
    endPage: 14,
    blockId: 'ram',
    firstPageInBlock: 2,
    ...(access === undefined ? {} : { access: access as RamAccess }),
  };
}

test.each(workloads.filter((name) => name !== 'idle'))(
  'a %s visit of portable memory asks before it looks, and tells after it has stored',
  (workload) => {
    const log: string[] = [];
    const content = (): number =>
      segment.words.slice(PAGE_WORDS, 2 * PAGE_WORDS).reduce((a, b) => a + b);
    const segment = segmentWith({
      ensure: (page) => log.push(`ensure ${page}, content ${content()}`),
      wrote: (page) => log.push(`wrote ${page}, content ${content()}`),
    });
    const visit = chooseVisit([segment], workload);
    visit(segment, 11);
    visit(segment, 11);
    expect(log).toEqual([
      'ensure 3, content 0',
      'wrote 3, content 1',
      'ensure 3, content 1',
      'wrote 3, content 2',
    ]);
  },
);

test('memory that the kernel watches is visited the same, and nobody is asked', () => {
  for (const workload of ['sweep', 'random'] as const) {
    const plain = segmentWith();
    const portable = segmentWith({ ensure: () => undefined, wrote: () => undefined });
    for (const segment of [plain, portable]) {
      const visit = chooseVisit([segment], workload);
      for (let step = 0; step < 300; step += 1) visit(segment, 10 + (step % 4));
    }
    expect(plain.words).toEqual(portable.words);
    expect(plain.words.some((word) => word !== 0)).toBe(true);
  }
});
