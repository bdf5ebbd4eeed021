import type { RamBlock } from '@godwit/core';
import { viewMemory } from '@godwit/posix';

const SEGMENT_BYTES = 2 ** 30;

/** A guest's stores: to every page or to one in `step`, `count` times or to the end. */
export type PageWriter = (step: number, count?: number) => void;

export function pageWriter({ address, byteLength, pageBytes }: RamBlock): PageWriter {
  const segments: Uint32Array[] = [];
  for (let at = 0; at < byteLength; at += SEGMENT_BYTES) {
    const bytes = Math.min(SEGMENT_BYTES, byteLength - at);
    segments.push(new Uint32Array(viewMemory(address + at, bytes)));
  }
  const segmentPages = SEGMENT_BYTES / pageBytes;
  const pageWords = pageBytes / 4;
  return (step, count = Infinity) => {
    const end = Math.min(byteLength / pageBytes, step * count);
    for (let page = 0; page < end; page += step) {
      const words = segments[Math.floor(page / segmentPages)] as Uint32Array;
      words[(page % segmentPages) * pageWords] = page + 1;
    }
  };
}
