/** Pages of a block, by its index. */
export interface PageRun {
  readonly block: number;
  readonly firstPage: number;
  readonly pageCount: number;
}
