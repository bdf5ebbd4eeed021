import type { BlockMap, PageMap } from '@godwit/core';

/** What a range of pages looks like, the most telling first. */
export type CellKind = 'waiting' | 'faulted' | 'missing' | 'dirty' | 'partly' | 'here';

/** Page counts of the whole guest; those that cannot be known from the sides at hand are absent. */
export interface PageTotals {
  readonly pages: number;
  readonly here: number;
  readonly missing: number;
  /** Sent, and written since. */
  readonly dirty?: number;
  readonly faulted?: number;
  readonly waiting?: number;
}

export interface PageCells {
  readonly cells: readonly CellKind[];
  readonly totals: PageTotals;
  readonly pagesPerCell: number;
  readonly pageBytes: number;
}

interface Counts {
  readonly pages: number;
  readonly dirty: number | undefined;
  readonly received: number | undefined;
  readonly waiting: number;
  readonly faulted: number;
}

/**
 * Lays the maps of both sides over each other; one of them will do. The destination knows what has come,
 * the source what it must send (again).
 *
 * @param isFirstPass what the source has yet to send was never sent before.
 * @returns nothing where no side has counts: before the first migration.
 */
export function pageCells(
  source: PageMap | undefined,
  destination: PageMap | undefined,
  isFirstPass: boolean,
): PageCells | undefined {
  const sent = source?.side === 'source' ? source : undefined;
  const arrived = destination?.side === 'destination' ? destination : undefined;
  const map = arrived ?? sent;
  if (map === undefined) return undefined;
  const counts = map.blocks.flatMap((block, index) => {
    const other = sent?.blocks[index];
    const fits = other?.pages === block.pages;
    const isAlike = sent?.['pages-per-cell'] === map['pages-per-cell'];
    return blockCounts(block, fits && isAlike ? other : undefined, map['pages-per-cell']);
  });
  const cells = counts.map((cell) =>
    cell.received === undefined ? sentKind(cell, isFirstPass) : receivedKind(cell),
  );
  const totals = arrived === undefined ? sentTotals(counts, isFirstPass) : receivedTotals(counts);
  return { cells, totals, pagesPerCell: map['pages-per-cell'], pageBytes: map['page-size'] };
}

/** The cells of one block; `sent` is the source's view of it, if there is one. */
function blockCounts(block: BlockMap, sent: BlockMap | undefined, perCell: number): Counts[] {
  const cells = Math.ceil(block.pages / perCell);
  return Array.from({ length: cells }, (_, cell) => ({
    pages: Math.min(perCell, block.pages - cell * perCell),
    dirty: (block.dirty ?? sent?.dirty)?.[cell],
    received: block.received?.[cell],
    waiting: block.waiting?.[cell] ?? 0,
    faulted: block.faulted?.[cell] ?? 0,
  }));
}

function receivedKind(cell: Counts): CellKind {
  const { pages, received = 0, waiting, faulted } = cell;
  const stale = staleOf(cell);
  if (waiting > 0) return 'waiting';
  if (faulted > 0) return 'faulted';
  if (received === 0) return 'missing';
  if (stale * 2 >= pages) return 'dirty';
  return stale > 0 || received < pages ? 'partly' : 'here';
}

function sentKind({ pages, dirty = 0 }: Counts, isFirstPass: boolean): CellKind {
  if (dirty === 0) return 'here';
  if (isFirstPass) return dirty === pages ? 'missing' : 'partly';
  return dirty * 2 >= pages ? 'dirty' : 'partly';
}

/** Of what has to be sent, that which has arrived once: all else of it is missing. */
function staleOf({ pages, dirty = 0, received = 0 }: Counts): number {
  return Math.max(0, dirty - (pages - received));
}

function receivedTotals(counts: readonly Counts[]): PageTotals {
  const pages = sum(counts, (cell) => cell.pages);
  const here = sum(counts, (cell) => cell.received ?? 0);
  const isKnown = counts.some(({ dirty }) => dirty !== undefined);
  return {
    pages,
    here,
    missing: pages - here,
    ...(isKnown ? { dirty: sum(counts, staleOf) } : {}),
    faulted: sum(counts, (cell) => cell.faulted),
    waiting: sum(counts, (cell) => cell.waiting),
  };
}

function sentTotals(counts: readonly Counts[], isFirstPass: boolean): PageTotals {
  const pages = sum(counts, (cell) => cell.pages);
  const unsent = sum(counts, (cell) => cell.dirty ?? 0);
  const missing = isFirstPass ? unsent : 0;
  return { pages, here: pages - missing, missing, dirty: unsent - missing };
}

function sum(counts: readonly Counts[], of: (cell: Counts) => number): number {
  return counts.reduce((total, cell) => total + of(cell), 0);
}
