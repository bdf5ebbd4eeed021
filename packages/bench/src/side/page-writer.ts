import type { RamBlock } from '@godwit/core';
import { viewMemory } from '@godwit/posix';

const SEGMENT_BYTES = 2 ** 30;

/** @returns a guest's stores: one to every page, or to one in `step`. */
export function pageWriter({ address, byteLength, pageBytes }: RamBlock): (step: number) => void {
  const segments: Uint32Array[] = [];
  for (let at = 0; at < byteLength; at += SEGMENT_BYTES) {
    const bytes = Math.min(SEGMENT_BYTES, byteLength - at);
    segments.push(new Uint32Array(viewMemory(address + at, bytes)));
  }
  const pageWords = pageBytes / 4;
  return (step) => {
    for (const words of segments) {
      for (let at = 0; at < words.length; at += step * pageWords) words[at] = at + 1;
    }
  };
}
