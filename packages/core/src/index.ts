export type { Guest } from './guest.ts';
export type { RamBacking, RamBlock } from './memory/ram-block.ts';
