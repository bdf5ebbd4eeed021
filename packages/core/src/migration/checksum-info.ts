import type { PageRun } from '../memory/page-run.ts';
import type { RamBlock } from '../memory/ram-block.ts';

/** With `x-checksum`: what was damaged on its way; on the source, as far as it was asked for again. */
export interface ChecksumInfo {
  readonly 'damaged-frames': number;
  readonly 'damaged-pages': number;
  /** Of the last of these frames. */
  readonly 'last-damaged'?: {
    /** Its id. */
    readonly block: string;
    /** The first, in the block. */
    readonly page: number;
    readonly pages: number;
  };
}

export function checksumInfo(
  blocks: readonly RamBlock[],
  { frames, pages }: { frames: number; pages: number },
  last: PageRun | undefined,
): ChecksumInfo {
  const counts = { 'damaged-frames': frames, 'damaged-pages': pages };
  if (last === undefined) return counts;
  const { block, firstPage, pageCount } = last;
  const id = blocks[block]?.id ?? '';
  return { ...counts, 'last-damaged': { block: id, page: firstPage, pages: pageCount } };
}
