import type { PageBitmap } from '../memory/page-bitmap.ts';
import type { RamBlock } from '../memory/ram-block.ts';

/** A terminal has fewer; a picture of a large guest may want them. */
export const PAGE_MAP_CELLS_MAX = 4096;
/** Bitmaps are counted by words. */
const PAGES_PER_WORD = 32;

/**
 * Where in guest RAM a migration stands, as `x-query-page-map` answers it: counts of pages for each cell,
 * a cell being `pages-per-cell` pages of one block, its last one what is left of it. At the end of a
 * migration the counts stay as it left them.
 */
export interface PageMap {
  /** `none`: no migration has been here, and cells have no counts. */
  readonly side: 'source' | 'destination' | 'none';
  readonly 'page-size': number;
  readonly 'pages-per-cell': number;
  readonly blocks: readonly BlockMap[];
}

/** Each list has one count for each cell. */
export interface BlockMap {
  readonly id: string;
  readonly pages: number;
  /** Source: still to be sent. All of them when it begins, none when it has completed. */
  readonly dirty?: readonly number[];
  /** Source: the page exists; the others were never touched, and are sent as zero. */
  readonly present?: readonly number[];
  /** Destination: in place. What is not is missing. */
  readonly received?: readonly number[];
  /** Destination: the guest waits for it now. */
  readonly waiting?: readonly number[];
  /** Destination: the guest has ever waited for it. */
  readonly faulted?: readonly number[];
}

type Layer = Exclude<keyof BlockMap, 'id' | 'pages'>;
type Layers = Partial<Record<Layer, readonly PageBitmap[]>>;

/**
 * Sums up bitmaps while other threads change them: a look, not a snapshot. Nothing is allocated per
 * page; 16 GiB of pages are 128 Ki words a layer.
 *
 * @param cellsMax 1 to PAGE_MAP_CELLS_MAX: of all blocks together, each of which has at least one.
 */
export function pageMap(
  side: PageMap['side'],
  blocks: readonly RamBlock[],
  cellsMax: number,
  layers: Layers,
): PageMap {
  const blockPages = blocks.map((block) => block.byteLength / block.pageBytes);
  const perCell = pagesPerCell(blockPages, cellsMax);
  return {
    side,
    'page-size': blocks[0]?.pageBytes ?? 4096,
    'pages-per-cell': perCell,
    blocks: blocks.map(({ id }, index) => {
      const pages = blockPages[index] as number;
      const counted = Object.entries(layers).map(([name, bitmaps]) => {
        return [name, cellCounts(bitmaps[index] as PageBitmap, perCell)];
      });
      // The entries have the names of the layers, all of which are lists of counts.
      return { id, pages, ...(Object.fromEntries(counted) as Partial<Record<Layer, number[]>>) };
    }),
  };
}

/** The finest division that keeps to the limit: blocks begin cells of their own. */
function pagesPerCell(blockPages: readonly number[], cellsMax: number): number {
  const total = blockPages.reduce((sum, pages) => sum + pages, 0);
  const cells = Math.max(1, cellsMax - blockPages.length + 1);
  return Math.max(1, Math.ceil(total / cells / PAGES_PER_WORD)) * PAGES_PER_WORD;
}

function cellCounts(bitmap: PageBitmap, perCell: number): number[] {
  const counts: number[] = [];
  for (let first = 0; first < bitmap.pages; first += perCell) {
    counts.push(bitmap.countRun(first, Math.min(perCell, bitmap.pages - first)));
  }
  return counts;
}
