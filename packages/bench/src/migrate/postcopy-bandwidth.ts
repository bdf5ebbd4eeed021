import type { MigrateBenchOptions } from './options.ts';

/** In recovery: the bulk takes about so long, so that half of it is surely the middle. */
const HELD_SECONDS = 1;

/** Bytes/s at the start; once a link that was cut is there again, the bulk is set free. */
export function initialPostcopyBandwidth({
  mode,
  memoryBytes,
  postcopyBandwidth,
}: Pick<MigrateBenchOptions, 'mode' | 'memoryBytes' | 'postcopyBandwidth'>): number {
  return mode === 'recovery' ? Math.ceil(memoryBytes / HELD_SECONDS) : postcopyBandwidth;
}
